#include "framework/select/key_tile.hpp"

#include <algorithm>
#include <array>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/select/key_tile.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for every instruction set.
#include "framework/select/matrix_tile-inl.hpp"
#include "framework/select/widen-inl.hpp"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {

// How many components of kLanes keys are transposed at a time: so many fit the first-level cache.
constexpr std::int64_t kChunk = 128;

#if HWY_NATIVE_FMA

// Loads four components, from `offset` on, of every fourth key, keys[0], keys[4], ...: one key in
// each 128-bit block of the vector.
HWY_INLINE FloatVector load_blocks(const float* const* keys, std::int64_t offset) {
  const hn::FixedTag<float, 4> block;
  const auto first = hn::LoadU(block, keys[0] + offset);
#if HWY_CAP_GE256
  const hn::FixedTag<float, 8> pair;
  const auto low = hn::Combine(pair, hn::LoadU(block, keys[4] + offset), first);
#if HWY_CAP_GE512
  const auto high =
      hn::Combine(pair, hn::LoadU(block, keys[12] + offset), hn::LoadU(block, keys[8] + offset));
  return hn::Combine(FloatTag(), high, low);
#else
  return low;
#endif
#else
  return first;
#endif
}

// Writes component i of the kLanes keys to packed[i][0 .. kLanes), for i < count <= kChunk.
HWY_INLINE void transpose(const float* const* keys, std::int64_t count, float* packed) {
  const FloatTag d;
  std::int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const FloatVector v0 = load_blocks(keys, i);
    const FloatVector v1 = load_blocks(keys + 1, i);
    const FloatVector v2 = load_blocks(keys + 2, i);
    const FloatVector v3 = load_blocks(keys + 3, i);
    const FloatVector even_low = hn::InterleaveLower(d, v0, v2);
    const FloatVector odd_low = hn::InterleaveLower(d, v1, v3);
    const FloatVector even_high = hn::InterleaveUpper(d, v0, v2);
    const FloatVector odd_high = hn::InterleaveUpper(d, v1, v3);
    float* target = packed + i * kPackedKeys;
    hn::Store(hn::InterleaveLower(d, even_low, odd_low), d, target);
    hn::Store(hn::InterleaveUpper(d, even_low, odd_low), d, target + kPackedKeys);
    hn::Store(hn::InterleaveLower(d, even_high, odd_high), d, target + 2 * kPackedKeys);
    hn::Store(hn::InterleaveUpper(d, even_high, odd_high), d, target + 3 * kPackedKeys);
  }
  for (; i < count; ++i) {
    for (int j = 0; j < kLanes; ++j) packed[i * kPackedKeys + j] = keys[j][i];
  }
}

#else

HWY_INLINE void transpose(const float* const* keys, std::int64_t count, float* packed) {
  for (std::int64_t i = 0; i < count; ++i) {
    for (int j = 0; j < kLanes; ++j) packed[i * kPackedKeys + j] = keys[j][i];
  }
}

#endif

// pack_keys() for the keys that lie at rows[count].
void pack(const void* const* rows, int count, DType dtype, std::int64_t dim, float* packed) {
  HWY_ALIGN static constexpr float kZeros[kChunk] = {};
  HWY_ALIGN float widened[kLanes * kChunk];
  const auto element_bytes = static_cast<std::int64_t>(size_of(dtype));
  for (int first = 0; first < kPackedKeys; first += kLanes) {
    for (std::int64_t chunk = 0; chunk < dim; chunk += kChunk) {
      const std::int64_t size = std::min(kChunk, dim - chunk);
      const float* keys[kLanes];
      for (int j = 0; j < kLanes; ++j) {
        if (first + j >= count) {
          keys[j] = kZeros;
          continue;
        }
        const void* source = static_cast<const std::byte*>(rows[first + j]) + chunk * element_bytes;
        if (dtype == DType::kFloat32) {
          keys[j] = static_cast<const float*>(source);
        } else {
          widen(dtype, source, size, widened + j * kChunk);
          keys[j] = widened + j * kChunk;
        }
      }
      transpose(keys, size, packed + chunk * kPackedKeys + first);
    }
  }
}

// score_tile().
void score(const float* queries,
           std::int64_t query_stride,
           int rows,
           const float* packed,
           std::int64_t head_dim,
           float* scores,
           std::int64_t score_stride) {
  const StridedRows keys{packed, kPackedKeys};
  const StoreProducts store{scores, score_stride};
  for (int vector = 0; vector * kLanes < kPackedKeys; vector += kMicroVectors) {
    multiply_columns<kMicroVectors, true>(queries, query_stride, rows, keys, head_dim, store,
                                          vector);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(pack);
HWY_EXPORT(score);

void pack_keys(const TensorView& keys,
               std::int64_t b,
               std::int64_t kv_head,
               std::int64_t first_key,
               int count,
               float* packed) {
  std::array<const void*, kPackedKeys> rows;
  for (int j = 0; j < count; ++j) {
    rows[static_cast<std::size_t>(j)] = keys.row(b, kv_head, first_key + j);
  }
  pack_keys(keys.dtype, std::span(rows.data(), static_cast<std::size_t>(count)), keys.dim, packed);
}

void pack_keys(const TensorView& keys,
               std::int64_t b,
               std::int64_t kv_head,
               std::span<const std::int32_t> listed,
               float* packed) {
  std::array<const void*, kPackedKeys> rows;
  for (std::size_t j = 0; j < listed.size(); ++j) rows[j] = keys.row(b, kv_head, listed[j]);
  pack_keys(keys.dtype, std::span(rows.data(), listed.size()), keys.dim, packed);
}

void pack_keys(DType dtype,
               std::span<const void* const> rows,
               std::int64_t head_dim,
               float* packed) {
  HWY_DYNAMIC_DISPATCH(pack)
  (rows.data(), static_cast<int>(rows.size()), dtype, head_dim, packed);
}

void score_tile(const float* queries,
                std::int64_t query_stride,
                int rows,
                const float* packed,
                std::int64_t head_dim,
                float* scores,
                std::int64_t score_stride) {
  HWY_DYNAMIC_DISPATCH(score)
  (queries, query_stride, rows, packed, head_dim, scores, score_stride);
}

}  // namespace maskerade
#endif  // HWY_ONCE
