#pragma once

#include <cstdint>

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/tile_plan.hpp"

namespace maskerade::cuda {

// Where a box begins in its tensor [slices][length][head_dim].
struct BoxOrigin {
  int dim;
  int key;
  int slice;
};

// A 16-bit tensor [slices][length][head_dim] in global memory, whose slices lie `room` rows apart
// (at least length), and from which sm_90's copy engine
// copies boxes of 64 keys x 64 components (128 bytes) to shared memory. There the rows of a box
// follow each other, with their chunks of 16 bytes permuted by the 128-byte swizzle: chunk c of row
// r lies where chunk c ^ (r & 7) would. A view.
struct TensorTiles {
  static constexpr int kBoxDim = 64;
  static constexpr int kBoxKeys = kTileKeys;
  static constexpr int kBoxBytes = kBoxDim * kBoxKeys * 2;

  const void* data = nullptr;
  std::uint64_t dims[3];     // head_dim, length, slices: the copy engine takes the innermost first
  std::uint64_t strides[2];  // from one row, and from one slice, to the next, in bytes

  static TensorTiles of(const void* data,
                        std::int64_t slices,
                        std::int64_t length,
                        std::int64_t room,
                        std::int64_t head_dim) {
    const auto row_bytes = static_cast<std::uint64_t>(head_dim) * 2;
    return {data,
            {static_cast<std::uint64_t>(head_dim), static_cast<std::uint64_t>(length),
             static_cast<std::uint64_t>(slices)},
            {row_bytes, row_bytes * static_cast<std::uint64_t>(room)}};
  }

  // Whether the copy engine can describe the tensor (PTX ISA, tensor maps).
  bool is_encodable() const {
    constexpr std::uint64_t kMostDim = std::uint64_t{1} << 32;
    constexpr std::uint64_t kStrideEnd = std::uint64_t{1} << 40;
    bool fits = reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && dims[0] % kBoxDim == 0;
    for (const std::uint64_t dim : dims) fits = fits && dim >= 1 && dim <= kMostDim;
    for (const std::uint64_t stride : strides) {
      fits = fits && stride % 16 == 0 && stride < kStrideEnd;
    }
    return fits;
  }
};

// k and v of a problem of `batch` batches; slice batch * kv_heads + kv_head is a kv head's.
inline TensorTiles key_tiles(const AttendArguments& arguments, std::int64_t batch) {
  return TensorTiles::of(arguments.k, batch * arguments.kv_heads, arguments.key_len,
                         arguments.room(), arguments.head_dim);
}
inline TensorTiles value_tiles(const AttendArguments& arguments, std::int64_t batch) {
  return TensorTiles::of(arguments.v, batch * arguments.kv_heads, arguments.key_len,
                         arguments.room(), arguments.head_dim);
}

}  // namespace maskerade::cuda
