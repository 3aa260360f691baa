#include "experiments/rules/mask_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "framework/mask/conversions.hpp"

namespace maskerade::rules {
namespace {

constexpr std::uint64_t kAllKeys = ~std::uint64_t{0};

// The bits of tile `tile` that a row which sees keys [0, end) may have.
std::uint64_t visible_bits(std::int64_t end, std::int64_t tile) {
  const std::int64_t keys = std::clamp<std::int64_t>(end - tile * kTileKeys, 0, kTileKeys);
  return keys == kTileKeys ? kAllKeys : (std::uint64_t{1} << keys) - 1;
}

// Reads the arrays of one mask by the definition of its storage.
class ArrayReader {
 public:
  ArrayReader(const Visibility& visibility, MaskExtent extent, const MaskArrays& arrays)
      : visibility_(visibility), extent_(extent), arrays_(arrays) {}

  std::int64_t tiles() const { return (visibility_.key_len() + kTileKeys - 1) / kTileKeys; }
  std::int64_t tile_rows() const { return (visibility_.query_len() + kTileRows - 1) / kTileRows; }
  std::int64_t tile_row_number(std::int64_t b, std::int64_t h, std::int64_t tile_row) const {
    return (b * extent_.heads + h) * tile_rows() + tile_row;
  }
  // The queries of a tile row: [first, end).
  std::int64_t first_query(std::int64_t tile_row) const { return tile_row * kTileRows; }
  std::int64_t end_query(std::int64_t tile_row) const {
    return std::min(first_query(tile_row) + kTileRows, visibility_.query_len());
  }
  bool is_any(std::int64_t number, std::int64_t tile) const {
    return bit(arrays_.any, number, tile);
  }
  bool is_full(std::int64_t number, std::int64_t tile) const {
    return bit(arrays_.full, number, tile);
  }
  // The word of a row of a partial tile.
  std::uint64_t partial_word(std::int64_t number,
                             std::int64_t tile,
                             std::int64_t rows,
                             std::int64_t row) const {
    std::int64_t before = 0;  // partial tiles
    const std::int64_t first = number * words();
    for (std::int64_t w = 0; w <= tile / 64; ++w) {
      const auto at = static_cast<std::size_t>(first + w);
      std::uint64_t partial = arrays_.any[at] & ~arrays_.full[at];
      if (w == tile / 64) partial &= (std::uint64_t{1} << (tile % 64)) - 1;
      before += std::popcount(partial);
    }
    const std::int64_t offset = arrays_.partial_offsets[static_cast<std::size_t>(number)];
    return arrays_.partial[static_cast<std::size_t>(offset + before * rows + row)];
  }
  // The bits of a row in a tile, as they lie there; of a full tile what the row sees.
  std::uint64_t word(std::int64_t b, std::int64_t h, std::int64_t query, std::int64_t tile) const {
    const std::int64_t tile_row = query / kTileRows;
    const std::int64_t number = tile_row_number(b, h, tile_row);
    if (!is_any(number, tile)) return 0;
    if (is_full(number, tile)) return visible_bits(visibility_.end(query), tile);
    return partial_word(number, tile, end_query(tile_row) - first_query(tile_row),
                        query - first_query(tile_row));
  }
  // The numbers of the sampled entries of a row: [first, second).
  std::pair<std::size_t, std::size_t> sampled(std::int64_t b,
                                              std::int64_t h,
                                              std::int64_t query) const {
    if (arrays_.sampled_offsets.empty()) return {0, 0};
    const auto row =
        static_cast<std::size_t>((b * extent_.heads + h) * visibility_.query_len() + query);
    return {static_cast<std::size_t>(arrays_.sampled_offsets[row]),
            static_cast<std::size_t>(arrays_.sampled_offsets[row + 1])};
  }

 private:
  bool bit(std::span<const std::uint64_t> bitmap, std::int64_t number, std::int64_t tile) const {
    return (bitmap[static_cast<std::size_t>(number * words() + tile / 64)] >> (tile % 64) & 1U) !=
           0;
  }
  std::int64_t words() const { return (tiles() + 63) / 64; }

  const Visibility& visibility_;
  MaskExtent extent_;
  const MaskArrays& arrays_;
};

// The form of one tile of a tile row.
void check_tile(const Visibility& visibility,
                const ArrayReader& reader,
                const EntryLocation& where,  // batch, head and the tile row's first query
                std::int64_t tile_row,
                std::int64_t tile,
                ViolationList& found) {
  const std::int64_t number = reader.tile_row_number(where.batch, where.head, tile_row);
  const bool any = reader.is_any(number, tile);
  const bool full = reader.is_full(number, tile);
  EntryLocation at = where;
  at.key = tile * kTileKeys;
  if (full && !any) {
    found.add(at, "the tile is marked full and not marked as active");
    return;
  }
  if (!any) return;
  bool is_empty = true;
  bool has_all = true;
  bool sees_a_key = false;
  for (std::int64_t query = reader.first_query(tile_row); query < reader.end_query(tile_row);
       ++query) {
    const std::uint64_t visible = visible_bits(visibility.end(query), tile);
    const std::uint64_t word = reader.word(where.batch, where.head, query, tile);
    if ((word & ~visible) != 0) {
      at.query = query;
      at.key = tile * kTileKeys + std::countr_zero(word & ~visible);
      found.add(at, fmt::format("the bit is set, and the row sees {} keys", visibility.end(query)));
    }
    is_empty = is_empty && (word & visible) == 0;
    has_all = has_all && (word & visible) == visible;
    sees_a_key = sees_a_key || visible != 0;
  }
  at = where;
  at.key = tile * kTileKeys;
  if (full && !sees_a_key) found.add(at, "the tile is marked full and no row sees a key of it");
  if (!full && is_empty) found.add(at, "the tile is marked as active and has no active bit");
  if (!full && has_all && sees_a_key) {
    found.add(at, "every visible entry of the tile is active and it is not marked full");
  }
}

// The sampled list of one row.
void check_sampled_row(const Visibility& visibility,
                       const ArrayReader& reader,
                       const MaskArrays& arrays,
                       EntryLocation at,
                       ViolationList& found) {
  const auto [begin, end] = reader.sampled(at.batch, at.head, at.query);
  for (std::size_t i = begin; i < end; ++i) {
    const std::int64_t key = arrays.sampled_keys[i];
    const double p = double{arrays.sampled_probabilities[i]};
    at.key = key;
    if (i > begin && key <= arrays.sampled_keys[i - 1]) {
      found.add(at, fmt::format("the sampled key follows key {}; sampled keys ascend",
                                arrays.sampled_keys[i - 1]));
    }
    if (key < 0 || key >= visibility.end(at.query)) {
      found.add(at, fmt::format("the key is sampled, and the row sees {} keys",
                                visibility.end(at.query)));
      continue;
    }
    if (!(p > 0 && p < 1)) {
      found.add(at, fmt::format("the sampled entry has probability {}; it must be in (0, 1), and "
                                "what has probability 1 is a bit",
                                p));
    }
    const std::uint64_t word = reader.word(at.batch, at.head, at.query, key / kTileKeys);
    if ((word >> (key % kTileKeys) & 1U) != 0) {
      found.add(at, fmt::format("the key is a bit and is sampled with probability {}", p));
    }
  }
}

// Whether the masks are over the same visible entries and the extent of one broadcasts to that of
// the other; else says so.
bool are_comparable(const Mask& a, const Mask& b, ViolationList& violations) {
  if (!(a.visibility() == b.visibility())) {
    violations.add(fmt::format("the masks are over {} queries x {} keys and {} x {}, or see others",
                               a.query_len(), a.key_len(), b.query_len(), b.key_len()));
    return false;
  }
  const MaskExtent one = a.extent();
  const MaskExtent other = b.extent();
  const bool fit_in_batch = one.batch == other.batch || one.batch == 1 || other.batch == 1;
  const bool fit_in_heads = one.heads % other.heads == 0 || other.heads % one.heads == 0;
  if (fit_in_batch && fit_in_heads) return true;
  violations.add(
      fmt::format("the extents batch {}, heads {} and batch {}, heads {} do not broadcast",
                  one.batch, one.heads, other.batch, other.heads));
  return false;
}

// Calls visit(where, a's row, b's row) for every row of the larger extent.
template <typename Visit>
void for_each_row(const Mask& a, const Mask& b, Visit&& visit) {
  const std::int64_t batch = std::max(a.extent().batch, b.extent().batch);
  const std::int64_t heads = std::max(a.extent().heads, b.extent().heads);
  for (std::int64_t entry = 0; entry < batch; ++entry) {
    for (std::int64_t head = 0; head < heads; ++head) {
      for (std::int64_t query = 0; query < a.query_len(); ++query) {
        visit(EntryLocation{entry, head, query},
              row_probabilities(a, a.extent_batch(entry), a.extent_head(head, heads), query),
              row_probabilities(b, b.extent_batch(entry), b.extent_head(head, heads), query));
      }
    }
  }
}

}  // namespace

std::vector<float> row_probabilities(const Mask& mask,
                                     std::int64_t batch,
                                     std::int64_t head,
                                     std::int64_t query) {
  const MaskArrays arrays = mask.arrays();
  const ArrayReader reader(mask.visibility(), mask.extent(), arrays);
  std::vector<float> row(static_cast<std::size_t>(mask.key_len()));
  for (std::int64_t tile = 0; tile < reader.tiles(); ++tile) {
    const std::uint64_t word = reader.word(batch, head, query, tile);
    for (std::int64_t key = tile * kTileKeys;
         key < std::min((tile + 1) * kTileKeys, mask.key_len()); ++key) {
      if ((word >> (key % kTileKeys) & 1U) != 0) row[static_cast<std::size_t>(key)] = 1;
    }
  }
  const auto [begin, end] = reader.sampled(batch, head, query);
  for (std::size_t i = begin; i < end; ++i) {
    row[static_cast<std::size_t>(arrays.sampled_keys[i])] = arrays.sampled_probabilities[i];
  }
  return row;
}

Violations check_canonical_form(const Mask& mask) {
  return check_canonical_form(mask.visibility(), mask.extent(), mask.arrays());
}

Violations check_canonical_form(const Visibility& visibility,
                                MaskExtent extent,
                                const MaskArrays& arrays) {
  ViolationList found("a mask is in canonical form");
  const ArrayReader reader(visibility, extent, arrays);
  if (!arrays.sampled_offsets.empty() && arrays.sampled_keys.empty()) {
    found.add("the mask has lists of sampled entries and no sampled entry");
  }
  for (std::int64_t b = 0; b < extent.batch; ++b) {
    for (std::int64_t h = 0; h < extent.heads; ++h) {
      for (std::int64_t tile_row = 0; tile_row < reader.tile_rows(); ++tile_row) {
        for (std::int64_t tile = 0; tile < reader.tiles(); ++tile) {
          check_tile(visibility, reader, {b, h, reader.first_query(tile_row)}, tile_row, tile,
                     found);
        }
      }
      for (std::int64_t query = 0; query < visibility.query_len(); ++query) {
        check_sampled_row(visibility, reader, arrays, {b, h, query}, found);
      }
    }
  }
  return found.violations();
}

Violations check_same_entries(const std::string& rule, const Mask& found, const Mask& expected) {
  ViolationList violations(rule);
  if (!are_comparable(found, expected, violations)) return violations.violations();
  if (found == expected) return {};
  for_each_row(
      found, expected,
      [&](EntryLocation at, const std::vector<float>& row, const std::vector<float>& other) {
        for (std::size_t key = 0; key < row.size(); ++key) {
          if (row[key] == other[key]) continue;
          at.key = static_cast<std::int64_t>(key);
          violations.add(
              at, fmt::format("the probability is {} and should be {}", row[key], other[key]));
        }
      });
  return violations.violations();
}

Violations check_previous_is_kept(const Mask& previous, const Mask& result) {
  ViolationList violations("the previous mask is kept");
  if (!are_comparable(previous, result, violations)) return violations.violations();
  for_each_row(
      previous, result,
      [&](EntryLocation at, const std::vector<float>& before, const std::vector<float>& after) {
        for (std::size_t key = 0; key < before.size(); ++key) {
          if (after[key] >= before[key]) continue;
          at.key = static_cast<std::int64_t>(key);
          violations.add(at, fmt::format("the probability was {} before and is {} now", before[key],
                                         after[key]));
        }
      });
  return violations.violations();
}

MaskConversions::MaskConversions()
    : by_dense([](const Mask& mask) {
        return from_dense(mask.visibility(), mask.extent(), to_dense(mask));
      }),
      by_compressed_rows([](const Mask& mask) {
        const CompressedRows rows = to_compressed_rows(mask);
        return from_compressed_rows(mask.visibility(), mask.extent(), rows.offsets, rows.keys,
                                    rows.probabilities);
      }),
      by_flat_entries([](const Mask& mask) {
        const FlatEntries flat = to_flat(mask);
        return from_flat(mask.visibility(), mask.extent(), flat.indices, flat.probabilities);
      }),
      by_blocks([](const Mask& mask) {
        return from_blocks(mask.visibility(), mask.extent(), to_blocks(mask, kTileKeys));
      }) {}

Violations check_conversions(const Mask& mask, const MaskConversions& conversions) {
  Violations all = check_same_entries("a mask comes back from dense probabilities",
                                      conversions.by_dense(mask), mask);
  append(all, check_same_entries("a mask comes back from compressed rows",
                                 conversions.by_compressed_rows(mask), mask));
  append(all, check_same_entries("a mask comes back from flat entries",
                                 conversions.by_flat_entries(mask), mask));
  ViolationList lost("blocks hold the whole mask");
  for (const Violation& violation : check_previous_is_kept(mask, conversions.by_blocks(mask))) {
    lost.add(violation.where, violation.finding);
  }
  append(all, lost.violations());
  return all;
}

}  // namespace maskerade::rules
