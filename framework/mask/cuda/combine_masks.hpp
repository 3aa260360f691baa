#pragma once

#include <cstdint>

#include "framework/mask/cuda/mask_view.hpp"

// The algebra of masks without sampled entries, on the device and without waiting for it. The words
// of the result are computed twice: first to see which tiles are empty, partial or full, then to
// store those of the partial ones. It is written as steps over plain pointers (see HostSteps), so
// that tests run it on the CPU.
namespace maskerade::cuda {

enum class MaskOperation { kUnion, kIntersection, kDifference, kComplement };

// Computes the words of the result of a set operation over `batch` x `heads`, to which both
// operands broadcast. All pointers are of one memory space.
struct CombinedWords {
  MaskOperation operation;
  MaskView a;
  MaskView b;  // not read by kComplement
  std::int64_t batch = 1;
  std::int64_t heads = 1;

  // A view with the result's lengths and visible ends; its arrays are not those of the result.
  MASKERADE_HOST_DEVICE const MaskView& lengths() const { return a; }
  // The bits of a query in a tile; slices count the result's batch and heads.
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
  // The slice of an operand that serves a slice of the result.
  MASKERADE_HOST_DEVICE std::int64_t slice_in(const MaskView& mask, std::int64_t slice) const {
    return (mask.batch == 1 ? 0 : slice / heads) * mask.heads + slice % heads * mask.heads / heads;
  }
};

// Where a result is written: the arrays of a MaskView, in one memory space. Does not own them.
struct CombinedArrays {
  std::uint8_t* states = nullptr;           // [tile rows][tiles] scratch: each tile's TileState
  std::uint64_t* any = nullptr;             // [tile rows][words]
  std::uint64_t* full = nullptr;            // [tile rows][words]
  std::int32_t* ranks = nullptr;            // [tile rows][words]
  std::int64_t* partial_offsets = nullptr;  // [tile rows + 1]
  std::uint64_t* partial = nullptr;         // [capacity]
  std::int64_t capacity = 0;                // words of `partial`
  std::int32_t* overflow = nullptr;         // [1] set to 1 when the result has more words than that
};

namespace detail {

enum TileState : std::uint8_t { kEmpty, kPartial, kFull };

// What the steps of combine_masks_steps() have in common. Words: CombinedWords, or a struct with
// its functions and members batch and heads.
template <typename Words>
struct PackStep {
  Words source;
  CombinedArrays to;

  MASKERADE_HOST_DEVICE std::int64_t tiles() const { return source.lengths().tiles(); }
  MASKERADE_HOST_DEVICE std::int64_t slice_of(std::int64_t tile_row) const {
    return tile_row / source.lengths().tile_rows();
  }
  MASKERADE_HOST_DEVICE std::int64_t first_query(std::int64_t tile_row) const {
    return tile_row % source.lengths().tile_rows() * 64;
  }
};

// Finds the state of each tile. One call for each (tile row, tile).
template <typename Words>
struct ClassifyTiles : PackStep<Words> {
  using PackStep<Words>::source;
  using PackStep<Words>::to;
  using PackStep<Words>::tiles;
  using PackStep<Words>::slice_of;
  using PackStep<Words>::first_query;

  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t tile_row = i / tiles();
    const std::int64_t first = first_query(tile_row);
    bool is_full = true;
    std::uint64_t any = 0;
    for (std::int64_t query = first; query < first + source.lengths().rows_of(first); ++query) {
      const std::uint64_t word = source.word(slice_of(tile_row), query, i % tiles());
      any |= word;
      is_full = is_full && word == source.lengths().visible_word(query, i % tiles());
    }
    to.states[i] = any == 0 ? kEmpty : is_full ? kFull : kPartial;
  }
};

// Makes the bitmaps and ranks of a tile row, and counts its words. One call for each tile row.
template <typename Words>
struct PackTiles : PackStep<Words> {
  using PackStep<Words>::source;
  using PackStep<Words>::to;
  using PackStep<Words>::tiles;
  using PackStep<Words>::slice_of;
  using PackStep<Words>::first_query;

  MASKERADE_HOST_DEVICE void operator()(std::int64_t tile_row) const {
    std::int64_t partial = 0;
    for (std::int64_t w = 0; w < source.lengths().words(); ++w) {
      std::uint64_t any = 0;
      std::uint64_t full = 0;
      for (std::int64_t tile = w * 64; tile < smaller((w + 1) * 64, tiles()); ++tile) {
        const std::uint8_t state = to.states[tile_row * tiles() + tile];
        any |= std::uint64_t{state != kEmpty} << (tile % 64);
        full |= std::uint64_t{state == kFull} << (tile % 64);
      }
      const std::int64_t at = tile_row * source.lengths().words() + w;
      to.any[at] = any;
      to.full[at] = full;
      to.ranks[at] = static_cast<std::int32_t>(partial);
      partial += popcount(any & ~full);
    }
    to.partial_offsets[tile_row] = partial * source.lengths().rows_of(first_query(tile_row));
  }
};

// Empties the tile rows whose words have no room, so that nobody reads words that were not written.
// One call for each tile row.
template <typename Words>
struct DropOverflow : PackStep<Words> {
  using PackStep<Words>::source;
  using PackStep<Words>::to;

  MASKERADE_HOST_DEVICE void operator()(std::int64_t tile_row) const {
    if (to.partial_offsets[tile_row + 1] <= to.capacity) return;
    *to.overflow = 1;
    for (std::int64_t w = 0; w < source.lengths().words(); ++w) {
      to.any[tile_row * source.lengths().words() + w] = 0;
      to.full[tile_row * source.lengths().words() + w] = 0;
    }
  }
};

// Stores the words of each partial tile. One call for each (tile row, tile).
template <typename Words>
struct KeepWords : PackStep<Words> {
  using PackStep<Words>::source;
  using PackStep<Words>::to;
  using PackStep<Words>::tiles;
  using PackStep<Words>::slice_of;
  using PackStep<Words>::first_query;

  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    if (to.states[i] != kPartial) return;
    const std::int64_t tile_row = i / tiles();
    const std::int64_t tile = i % tiles();
    const std::int64_t first = first_query(tile_row);
    const std::int64_t rows = source.lengths().rows_of(first);
    const std::int64_t at = tile_row * source.lengths().words() + tile / 64;
    const std::int64_t rank =
        to.ranks[at] + popcount(to.any[at] & ~to.full[at] & low_bits(tile % 64));
    const std::int64_t begin = to.partial_offsets[tile_row] + rank * rows;
    if (begin + rows > to.capacity) return;
    for (std::int64_t r = 0; r < rows; ++r) {
      to.partial[begin + r] = source.word(slice_of(tile_row), first + r, tile);
    }
  }
};

}  // namespace detail

// Writes the mask whose words `source` computes, in canonical form. *to.overflow must be 0 before;
// it becomes 1, and tile rows are left empty, when to.capacity is too small.
template <typename Steps, typename Words>
void combine_masks_steps(const Steps& steps, const Words& source, const CombinedArrays& to) {
  const std::int64_t tile_rows = source.batch * source.heads * source.lengths().tile_rows();
  const detail::PackStep<Words> step{source, to};
  steps.for_each(tile_rows * source.lengths().tiles(), detail::ClassifyTiles<Words>{step});
  steps.for_each(tile_rows, detail::PackTiles<Words>{step});
  steps.exclusive_sum(to.partial_offsets, tile_rows);
  steps.for_each(tile_rows, detail::DropOverflow<Words>{step});
  steps.for_each(tile_rows * source.lengths().tiles(), detail::KeepWords<Words>{step});
}

}  // namespace maskerade::cuda
