#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/mask/visibility.hpp"

namespace maskerade {

inline constexpr std::int64_t kTileKeys = 64;  // keys of a tile: one 64-bit word per row
inline constexpr std::int64_t kTileRows = 64;  // query rows of a tile, or fewer in the last one

// How many masks of query_len x key_len a mask holds: batch is 1 or the problem's batch, heads is
// 1, kv_heads or query_heads. Where it has fewer than the problem, one serves several
// (broadcasting).
struct MaskExtent {
  std::int64_t batch = 1;
  std::int64_t heads = 1;

  friend bool operator==(const MaskExtent&, const MaskExtent&) = default;
};

// The entries of one row with an inclusion probability below 1. None of their keys is a bit of the
// row. Refers to the mask's memory.
struct SampledEntries {
  std::span<const std::int32_t> keys;    // ascending
  std::span<const float> probabilities;  // [keys.size()]
};

// The tiles of one tile row: of the `rows` queries from first_query on, over all keys. Refers to
// the mask's memory.
struct TileRowView {
  std::int64_t first_query = 0;
  int rows = 0;
  std::span<const std::uint64_t> any;  // bit t: tile t has an active entry
  // Bit t: tile t has a visible entry, and every visible entry of it is active.
  std::span<const std::uint64_t> full;
  const std::uint64_t* partial = nullptr;  // [partial tiles][rows] words, in tile order

  // Calls visit(tile, words) for every tile with an active bit, in ascending order. words[rows] are
  // the bits of a partial tile. For a full tile it is null: the rows' bits are then what each of
  // them sees, which need not be the whole tile.
  template <typename Visit>
  void for_each_tile(Visit&& visit) const {
    const std::uint64_t* words = partial;
    for (std::size_t w = 0; w < any.size(); ++w) {
      for (std::uint64_t left = any[w]; left != 0; left &= left - 1) {
        const int bit = std::countr_zero(left);
        const bool is_full = ((full[w] >> bit) & 1U) != 0;
        visit(static_cast<std::int64_t>(w) * 64 + bit, is_full ? nullptr : words);
        if (!is_full) words += rows;
      }
    }
  }
};

// The arrays of a mask as they lie in host memory, for copying them elsewhere. Tile rows are
// numbered (b * heads + h) * tile_row_count + tile_row, rows (b * heads + h) * query_len + query.
// Refers to the mask's memory.
struct MaskArrays {
  std::span<const std::uint64_t> any;             // [tile rows][ceil(tiles / 64)]
  std::span<const std::uint64_t> full;            // [tile rows][ceil(tiles / 64)]
  std::span<const std::int64_t> partial_offsets;  // [tile rows + 1] into partial
  std::span<const std::uint64_t> partial;         // the words of all partial tiles
  std::span<const std::int64_t> sampled_offsets;  // [rows + 1]; empty without sampled entries
  std::span<const std::int32_t> sampled_keys;     // of all rows
  std::span<const float> sampled_probabilities;   // [sampled_keys.size()]
};

struct TileRow;
namespace detail {
class MaskAssembler;
}

// Which visible keys each row attends to, and with which inclusion probability.
//
// Bits (probability 1) live in tiles of up to 64 rows x 64 keys: per (batch, head, tile row) two
// bitmaps over the tiles, any and full; tiles that are any but not full own one 64-bit word per
// row, found by counting the partial tiles before them. Entries with probability < 1 live beside
// the bits as sorted per-row lists. Canonical: invisible entries are never active, a tile with
// every visible entry active is full, one with none is empty, sampled entries are never also bits.
// So two masks are equal exactly when their memory is. A mask is a value in host memory that owns
// its arrays and never changes.
class Mask {
 public:
  // No key is active.
  static Mask empty(const Visibility& visibility, MaskExtent extent = {});
  // Every visible key is active.
  static Mask full(const Visibility& visibility, MaskExtent extent = {});
  // Joins canonical tile rows, which are copied; that of (b, h) with the number t is
  // tile_rows[(b * heads + h) * tile_row_count + t]. Throws ShapeError when their number or the
  // sizes of their arrays do not fit the mask.
  static Mask from_tile_rows(const Visibility& visibility,
                             MaskExtent extent,
                             const std::vector<TileRow>& tile_rows);

  const Visibility& visibility() const noexcept { return visibility_; }
  MaskExtent extent() const noexcept { return extent_; }
  std::int64_t query_len() const noexcept { return visibility_.query_len(); }
  std::int64_t key_len() const noexcept { return visibility_.key_len(); }
  std::int64_t tile_height() const noexcept;     // rows of the first tile: min(64, query_len)
  std::int64_t tile_row_count() const noexcept;  // tile rows of one (batch, head)
  std::int64_t tile_count() const noexcept;      // tiles of one tile row

  // b and h count the mask's own batch and heads. extent_batch and extent_head give those that
  // serve a batch or a query head of the problem.
  TileRowView tile_row(std::int64_t b, std::int64_t h, std::int64_t tile_row) const noexcept;
  SampledEntries sampled(std::int64_t b, std::int64_t h, std::int64_t query) const noexcept;
  std::int64_t extent_batch(std::int64_t batch) const noexcept {
    return extent_.batch == 1 ? 0 : batch;
  }
  std::int64_t extent_head(std::int64_t query_head, std::int64_t query_heads) const noexcept {
    return query_head * extent_.heads / query_heads;
  }

  // The inclusion probability of one entry, 0 when it is inactive. Slow: meant for tests and small
  // exports. Throws ShapeError when the mask has no such entry.
  float probability(std::int64_t b, std::int64_t h, std::int64_t query, std::int64_t key) const;

  bool has_sampled() const noexcept { return !sampled_keys_.empty(); }
  std::int64_t sampled_count() const noexcept {
    return static_cast<std::int64_t>(sampled_keys_.size());
  }
  std::int64_t size_bytes() const noexcept;  // what the mask's arrays hold
  // The arrays, which live as long as the mask.
  MaskArrays arrays() const noexcept {
    return {any_,
            full_,
            partial_offsets_,
            partial_,
            sampled_offsets_,
            sampled_keys_,
            sampled_probabilities_};
  }

  friend bool operator==(const Mask&, const Mask&) = default;

 private:
  friend class detail::MaskAssembler;
  Mask(const Visibility& visibility, MaskExtent extent);

  Visibility visibility_;
  MaskExtent extent_;
  // See MaskArrays.
  std::vector<std::uint64_t> any_;
  std::vector<std::uint64_t> full_;
  std::vector<std::int64_t> partial_offsets_;
  std::vector<std::uint64_t> partial_;
  std::vector<std::int64_t> sampled_offsets_;
  std::vector<std::int32_t> sampled_keys_;
  std::vector<float> sampled_probabilities_;
};

// What a mask holds. All counts are over the mask's own extent, without broadcasting.
struct MaskCounts {
  std::int64_t active_entries = 0;   // with whatever probability
  std::int64_t sampled_entries = 0;  // with a probability below 1
  std::int64_t visible_entries = 0;
  std::int64_t tiles_full = 0;     // every visible entry is a bit
  std::int64_t tiles_partial = 0;  // some visible entries are bits
  std::int64_t tiles_empty = 0;    // no entry is a bit; sampled entries may lie there
  std::int64_t empty_rows = 0;     // rows without an active entry
  double density = 0;              // active / visible entries; 0 when nothing is visible
  double density_p5 = 0;           // percentiles of the rows' densities, see quantile_in_place();
  double density_p95 = 0;          // rows that see no key are left out
};
MaskCounts count(const Mask& mask);
// MaskCounts::density alone.
double density(const Mask& mask);

}  // namespace maskerade
