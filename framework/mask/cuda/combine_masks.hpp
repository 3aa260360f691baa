#pragma once

#include <cstdint>

#include "framework/mask/cuda/mask_view.hpp"

// The algebra of masks of bits on the device, without waiting for it: the words of the result are
// made twice, first to see which tiles are empty, partial or full, then to keep those of partial
// ones. Written against steps and plain pointers, so that tests run it on the CPU.
namespace maskerade::cuda {

enum class MaskOperation { kUnion, kIntersection, kDifference, kComplement };

// The words of a result over `batch` x `heads`, to which both operands broadcast.
struct CombinedWords {
  MaskOperation operation;
  MaskView a;
  MaskView b;  // not read by kComplement
  std::int64_t batch = 1;
  std::int64_t heads = 1;

  MASKERADE_HOST_DEVICE std::uint64_t word(std::int64_t slice,
                                           std::int64_t query,
                                           std::int64_t tile) const {
    const std::uint64_t left = a.word(slice_in(a, slice), query, tile);
    if (operation == MaskOperation::kComplement) return a.visible_word(query, tile) & ~left;
    const std::uint64_t right = b.word(slice_in(b, slice), query, tile);
    switch (operation) {
      case MaskOperation::kIntersection:
        return left & right;
      case MaskOperation::kDifference:
        return left & ~right;
      default:
        return left | right;
    }
  }

 private:
  MASKERADE_HOST_DEVICE std::int64_t slice_in(const MaskView& mask, std::int64_t slice) const {
    return (mask.batch == 1 ? 0 : slice / heads) * mask.heads + slice % heads * mask.heads / heads;
  }
};

// Where a result goes, in one memory space.
struct CombinedArrays {
  std::uint8_t* states = nullptr;  // [tile rows][tiles] scratch
  std::uint64_t* any = nullptr;    // see MaskView
  std::uint64_t* full = nullptr;
  std::int32_t* ranks = nullptr;
  std::int64_t* partial_offsets = nullptr;  // [tile rows + 1]
  std::uint64_t* partial = nullptr;         // [capacity]
  std::int64_t capacity = 0;
  std::int32_t* overflow = nullptr;  // set to 1 when the capacity was too small
};

namespace detail {

enum TileState : std::uint8_t { kEmpty, kPartial, kFull };

struct CombineStep {
  CombinedWords source;
  CombinedArrays to;

  MASKERADE_HOST_DEVICE std::int64_t tiles() const { return source.a.tiles(); }
  MASKERADE_HOST_DEVICE std::int64_t slice_of(std::int64_t tile_row) const {
    return tile_row / source.a.tile_rows();
  }
  MASKERADE_HOST_DEVICE std::int64_t first_query(std::int64_t tile_row) const {
    return tile_row % source.a.tile_rows() * 64;
  }
};

// One call for each (tile row, tile).
struct ClassifyTiles : CombineStep {
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t tile_row = i / tiles();
    const std::int64_t first = first_query(tile_row);
    bool is_full = true;
    std::uint64_t any = 0;
    for (std::int64_t query = first; query < first + source.a.rows_of(first); ++query) {
      const std::uint64_t word = source.word(slice_of(tile_row), query, i % tiles());
      any |= word;
      is_full = is_full && word == source.a.visible_word(query, i % tiles());
    }
    to.states[i] = any == 0 ? kEmpty : is_full ? kFull : kPartial;
  }
};

// One call for each tile row.
struct PackTiles : CombineStep {
  MASKERADE_HOST_DEVICE void operator()(std::int64_t tile_row) const {
    std::int64_t partial = 0;
    for (std::int64_t w = 0; w < source.a.words(); ++w) {
      std::uint64_t any = 0;
      std::uint64_t full = 0;
      for (std::int64_t tile = w * 64; tile < smaller((w + 1) * 64, tiles()); ++tile) {
        const std::uint8_t state = to.states[tile_row * tiles() + tile];
        any |= std::uint64_t{state != kEmpty} << (tile % 64);
        full |= std::uint64_t{state == kFull} << (tile % 64);
      }
      const std::int64_t at = tile_row * source.a.words() + w;
      to.any[at] = any;
      to.full[at] = full;
      to.ranks[at] = static_cast<std::int32_t>(partial);
      partial += popcount(any & ~full);
    }
    to.partial_offsets[tile_row] = partial * source.a.rows_of(first_query(tile_row));
  }
};

// One call for each (tile row, tile).
struct KeepWords : CombineStep {
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    if (to.states[i] != kPartial) return;
    const std::int64_t tile_row = i / tiles();
    const std::int64_t tile = i % tiles();
    const std::int64_t first = first_query(tile_row);
    const std::int64_t rows = source.a.rows_of(first);
    const std::int64_t at = tile_row * source.a.words() + tile / 64;
    const std::int64_t rank =
        to.ranks[at] + popcount(to.any[at] & ~to.full[at] & low_bits(tile % 64));
    const std::int64_t begin = to.partial_offsets[tile_row] + rank * rows;
    if (begin + rows > to.capacity) {
      *to.overflow = 1;
      return;
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      to.partial[begin + r] = source.word(slice_of(tile_row), first + r, tile);
    }
  }
};

}  // namespace detail

// Fills the arrays of a result in canonical form; *overflow is 0 before.
template <typename Steps>
void combine_masks_steps(const Steps& steps,
                         const CombinedWords& source,
                         const CombinedArrays& to) {
  const std::int64_t tile_rows = source.batch * source.heads * source.a.tile_rows();
  const detail::CombineStep step{source, to};
  steps.for_each(tile_rows * source.a.tiles(), detail::ClassifyTiles{step});
  steps.for_each(tile_rows, detail::PackTiles{step});
  steps.exclusive_sum(to.partial_offsets, tile_rows);
  steps.for_each(tile_rows * source.a.tiles(), detail::KeepWords{step});
}

}  // namespace maskerade::cuda
