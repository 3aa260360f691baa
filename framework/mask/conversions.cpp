#include "framework/mask/conversions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/mask/detail/mask_assembler.hpp"
#include "framework/mask/detail/tile_rows.hpp"
#include "framework/mask/detail/visible_words.hpp"
#include "framework/mask/detail/word_kernels.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade {
namespace {

std::size_t to_size(std::int64_t value) { return static_cast<std::size_t>(value); }

// Whether each value is larger than the one before it.
bool ascends(std::span<const std::int32_t> values) {
  unsigned falls = 0;
  for (std::size_t i = 1; i < values.size(); ++i) falls |= values[i] <= values[i - 1] ? 1U : 0U;
  return falls == 0;
}

void check_extent(MaskExtent extent) {
  if (extent.batch < 1 || extent.heads < 1) {
    throw ShapeError(
        fmt::format("a mask's extent is batch {} and heads {}; each must be at least 1",
                    extent.batch, extent.heads));
  }
}

void check_size(const char* name, std::size_t size, std::int64_t expected) {
  if (size != to_size(expected)) {
    throw ShapeError(fmt::format("{} has {} elements; it must have {}", name, size, expected));
  }
}

// Row `row` of a mask as error messages show it: "row 5 (batch 0, head 1, query 2)".
std::string describe_row(const Visibility& visibility, MaskExtent extent, std::int64_t row) {
  const std::int64_t slice = row / visibility.query_len();
  return fmt::format("row {} (batch {}, head {}, query {})", row, slice / extent.heads,
                     slice % extent.heads, row % visibility.query_len());
}

// Builds a mask row by row. fill(builder, row, r) must add the entries of one row to the builder:
// `row` is its number within the builder's tile row, r its number in the whole mask.
template <typename Fill>
Mask build_by_rows(const Visibility& visibility, MaskExtent extent, Fill&& fill) {
  detail::MaskAssembler assembler(visibility, extent);
  TileRowBuilder builder(visibility);
  const std::int64_t query_len = visibility.query_len();
  for (std::int64_t slice = 0; slice < extent.batch * extent.heads; ++slice) {
    for (std::int64_t first = 0; first < query_len; first += kTileRows) {
      builder.start(first / kTileRows);
      for (int row = 0; row < builder.rows(); ++row) {
        fill(builder, row, slice * query_len + first + row);
      }
      const TileRow tile_row = builder.finish();
      assembler.append(tile_row);
    }
  }
  return std::move(assembler).take();
}

// Lists the tiles of a tile row that have an active bit, and gives the bits of each row in them.
class TileList {
 public:
  // Lists the tiles of `view`, in place of what was listed before. `view` and `visible` must
  // outlive the use of the list.
  void start(const TileRowView& view, const detail::VisibleWords& visible) {
    visible_ = &visible;
    first_keys_.clear();
    tiles_.clear();
    view.for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
      first_keys_.push_back(static_cast<std::int32_t>(tile * kTileKeys));
      tiles_.push_back(words);
    });
    row_words_.resize(tiles_.size());
  }

  // The first key of each listed tile, ascending.
  std::span<const std::int32_t> first_keys() const { return first_keys_; }
  // The bits of one row, a word for each listed tile. Valid until the next call.
  std::span<const std::uint64_t> words(int row) {
    for (std::size_t t = 0; t < tiles_.size(); ++t) {
      row_words_[t] =
          tiles_[t] == nullptr ? visible_->word(row, first_keys_[t] / kTileKeys) : tiles_[t][row];
    }
    return row_words_;
  }

 private:
  const detail::VisibleWords* visible_ = nullptr;
  std::vector<std::int32_t> first_keys_;
  std::vector<const std::uint64_t*> tiles_;  // [tiles] a partial tile's words; null: a full tile
  std::vector<std::uint64_t> row_words_;
};

// Calls visit(b, h, query, words, first_keys) for every row of a mask, in order. Bit j of words[t]
// is the row's bit of key first_keys[t] + j; tiles without an active bit are left out.
template <typename Visit>
void for_each_row(const Mask& mask, Visit&& visit) {
  TileList tiles;
  detail::for_each_tile_row(
      mask.extent(), mask.tile_row_count(),
      [&](std::int64_t b, std::int64_t h, std::int64_t index) {
        const TileRowView view = mask.tile_row(b, h, index);
        const detail::VisibleWords visible(mask.visibility(), view.first_query, view.rows);
        tiles.start(view, visible);
        for (int row = 0; row < view.rows; ++row) {
          visit(b, h, view.first_query + row, tiles.words(row), tiles.first_keys());
        }
      });
}

}  // namespace

std::vector<float> to_dense(const Mask& mask) {
  const std::int64_t key_len = mask.key_len();
  std::vector<float> weights(
      to_size(mask.extent().batch * mask.extent().heads * mask.query_len() * key_len));
  float* row = weights.data();
  for_each_row(
      mask, [&](std::int64_t b, std::int64_t h, std::int64_t query,
                std::span<const std::uint64_t> words, std::span<const std::int32_t> first_keys) {
        for (std::size_t t = 0; t < words.size(); ++t) {
          const std::int64_t count = std::min<std::int64_t>(kTileKeys, key_len - first_keys[t]);
          detail::write_ones(words[t], static_cast<int>(count), row + first_keys[t]);
        }
        const SampledEntries entries = mask.sampled(b, h, query);
        for (std::size_t i = 0; i < entries.keys.size(); ++i) {
          row[entries.keys[i]] = entries.probabilities[i];
        }
        row += key_len;
      });
  return weights;
}

Mask from_dense(const Visibility& visibility, MaskExtent extent, std::span<const float> weights) {
  check_extent(extent);
  const std::int64_t key_len = visibility.key_len();
  check_size("weights", weights.size(),
             extent.batch * extent.heads * visibility.query_len() * key_len);
  return build_by_rows(visibility, extent, [&](TileRowBuilder& builder, int row, std::int64_t r) {
    const float* values = weights.data() + r * key_len;
    for (std::int64_t tile = 0; tile * kTileKeys < key_len; ++tile) {
      const std::int64_t first = tile * kTileKeys;
      const detail::WeightBits bits = detail::read_weights(
          values + first, static_cast<int>(std::min<std::int64_t>(kTileKeys, key_len - first)));
      if (bits.invalid != 0) {
        const std::int64_t key = first + std::countr_zero(bits.invalid);
        throw ShapeError(fmt::format("{}, key {}: the weight is {}; it must be between 0 and 1",
                                     describe_row(visibility, extent, r), key, values[key]));
      }
      builder.add_word(row, tile, bits.ones);
      for (std::uint64_t left = bits.sampled; left != 0; left &= left - 1) {
        const std::int64_t key = first + std::countr_zero(left);
        builder.add_key(row, key, values[key]);
      }
    }
  });
}

CompressedRows to_compressed_rows(const Mask& mask) {
  const std::int64_t rows = mask.extent().batch * mask.extent().heads * mask.query_len();
  CompressedRows result;
  result.offsets.reserve(to_size(rows + 1));
  result.offsets.push_back(0);
  for_each_row(mask, [&](std::int64_t b, std::int64_t h, std::int64_t query,
                         std::span<const std::uint64_t> words, std::span<const std::int32_t>) {
    auto active = static_cast<std::int64_t>(mask.sampled(b, h, query).keys.size());
    for (const std::uint64_t word : words) active += std::popcount(word);
    result.offsets.push_back(result.offsets.back() + active);
  });
  result.keys.resize(to_size(result.offsets.back()) + detail::kSlack);
  result.probabilities.assign(to_size(result.offsets.back()), 1.0F);

  std::size_t row = 0;
  for_each_row(mask,
               [&](std::int64_t b, std::int64_t h, std::int64_t query,
                   std::span<const std::uint64_t> words, std::span<const std::int32_t> first_keys) {
                 std::int32_t* keys = result.keys.data() + result.offsets[row];
                 std::int64_t bits =
                     detail::write_keys(words.data(), first_keys.data(), words.size(), keys) - keys;
                 // Merges from the back: `keys` holds the bits' keys at its front and free room for
                 // the sampled entries behind them.
                 const SampledEntries entries = mask.sampled(b, h, query);
                 float* probabilities = result.probabilities.data() + result.offsets[row];
                 std::int64_t target = result.offsets[row + 1] - result.offsets[row];
                 for (std::size_t left = entries.keys.size(); left > 0;) {
                   --target;
                   if (bits > 0 && keys[bits - 1] > entries.keys[left - 1]) {
                     keys[target] = keys[--bits];
                     probabilities[target] = 1.0F;
                   } else {
                     keys[target] = entries.keys[--left];
                     probabilities[target] = entries.probabilities[left];
                   }
                 }
                 ++row;
               });
  result.keys.resize(result.probabilities.size());
  return result;
}

Mask from_compressed_rows(const Visibility& visibility,
                          MaskExtent extent,
                          std::span<const std::int64_t> offsets,
                          std::span<const std::int32_t> keys,
                          std::span<const float> probabilities) {
  check_extent(extent);
  const std::int64_t rows = extent.batch * extent.heads * visibility.query_len();
  check_size("offsets", offsets.size(), rows + 1);
  if (offsets[0] != 0) {
    throw ShapeError(fmt::format("offsets[0] is {}; it must be 0", offsets[0]));
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    if (offsets[to_size(r + 1)] < offsets[to_size(r)]) {
      throw ShapeError(fmt::format("offsets[{}] is {}, less than offsets[{}], {}; offsets ascend",
                                   r + 1, offsets[to_size(r + 1)], r, offsets[to_size(r)]));
    }
  }
  check_size("keys", keys.size(), offsets.back());
  if (!probabilities.empty()) check_size("probabilities", probabilities.size(), offsets.back());

  std::vector<std::int32_t> sorted;
  return build_by_rows(visibility, extent, [&](TileRowBuilder& builder, int row, std::int64_t r) {
    const std::int64_t begin = offsets[to_size(r)];
    const std::int64_t end = offsets[to_size(r + 1)];
    const std::span<const std::int32_t> own = keys.subspan(to_size(begin), to_size(end - begin));
    if (!ascends(own)) {
      sorted.assign(own.begin(), own.end());
      std::sort(sorted.begin(), sorted.end());
      const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
      if (twice != sorted.end()) {
        throw ShapeError(fmt::format("{}: key {} appears twice; a key may appear once in a row",
                                     describe_row(visibility, extent, r), *twice));
      }
    }
    // Collects the bits of one tile in `word` before it adds them, as one word.
    std::int64_t tile = 0;
    std::uint64_t word = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int32_t key = keys[to_size(i)];
      if (key < 0 || key >= visibility.key_len()) {
        throw ShapeError(fmt::format("{}: keys[{}] is {}; it must be between 0 and {}",
                                     describe_row(visibility, extent, r), i, key,
                                     visibility.key_len() - 1));
      }
      const float probability = probabilities.empty() ? 1.0F : probabilities[to_size(i)];
      if (!(probability > 0.0F && probability <= 1.0F)) {
        throw ShapeError(
            fmt::format("{}: probabilities[{}] is {}; it must be above 0 and at most 1",
                        describe_row(visibility, extent, r), i, probability));
      }
      if (probability < 1.0F) {
        builder.add_key(row, key, probability);
        continue;
      }
      if (key / kTileKeys != tile) {
        builder.add_word(row, tile, word);
        tile = key / kTileKeys;
        word = 0;
      }
      word |= std::uint64_t{1} << (key % kTileKeys);
    }
    builder.add_word(row, tile, word);
  });
}

FlatEntries to_flat(const Mask& mask) {
  CompressedRows rows = to_compressed_rows(mask);
  FlatEntries flat;
  flat.indices.resize(rows.keys.size());
  for (std::size_t r = 0; r + 1 < rows.offsets.size(); ++r) {
    const std::int64_t first = static_cast<std::int64_t>(r) * mask.key_len();
    for (std::int64_t i = rows.offsets[r]; i < rows.offsets[r + 1]; ++i) {
      flat.indices[to_size(i)] = first + rows.keys[to_size(i)];
    }
  }
  flat.probabilities = std::move(rows.probabilities);
  return flat;
}

Mask from_flat(const Visibility& visibility,
               MaskExtent extent,
               std::span<const std::int64_t> indices,
               std::span<const float> probabilities) {
  check_extent(extent);
  if (!probabilities.empty()) {
    check_size("probabilities", probabilities.size(), static_cast<std::int64_t>(indices.size()));
  }
  const std::int64_t key_len = visibility.key_len();
  const std::int64_t rows = extent.batch * extent.heads * visibility.query_len();
  CompressedRows compressed;
  compressed.offsets.resize(to_size(rows + 1));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= rows * key_len) {
      throw ShapeError(
          fmt::format("indices[{}] is {}; with {} rows of {} keys it must be between 0 "
                      "and {}",
                      i, indices[i], rows, key_len, rows * key_len - 1));
    }
    const float probability = probabilities.empty() ? 1.0F : probabilities[i];
    if (!(probability > 0.0F && probability <= 1.0F)) {
      throw ShapeError(
          fmt::format("probabilities[{}] is {}; it must be above 0 and at most 1", i, probability));
    }
    ++compressed.offsets[to_size(indices[i] / key_len + 1)];
  }
  std::partial_sum(compressed.offsets.begin(), compressed.offsets.end(),
                   compressed.offsets.begin());
  std::vector<std::int64_t> next = compressed.offsets;
  compressed.keys.resize(indices.size());
  compressed.probabilities.resize(probabilities.size());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::size_t target = to_size(next[to_size(indices[i] / key_len)]++);
    compressed.keys[target] = static_cast<std::int32_t>(indices[i] % key_len);
    if (!probabilities.empty()) compressed.probabilities[target] = probabilities[i];
  }
  return from_compressed_rows(visibility, extent, compressed.offsets, compressed.keys,
                              compressed.probabilities);
}

namespace {

std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// The number of the row of blocks that a query lies in; that of query 0 is 0.
std::int64_t block_row(const Visibility& visibility, std::int64_t block, std::int64_t query) {
  return floor_divide(visibility.position(query), block) -
         floor_divide(visibility.position(0), block);
}

// How many blocks the queries and the keys fill.
struct BlockGrid {
  std::int64_t query_blocks = 0;
  std::int64_t key_blocks = 0;
};

BlockGrid block_grid(const Visibility& visibility, std::int64_t block) {
  if (block < 1 || block > std::numeric_limits<std::int32_t>::max()) {
    throw ShapeError(fmt::format("block is {}; it must be between 1 and 2147483647", block));
  }
  std::int64_t last = 0;
  for (std::int64_t query = 0; query < visibility.query_len(); ++query) {
    const std::int64_t row = block_row(visibility, block, query);
    if (row < 0) {
      throw ShapeError(fmt::format(
          "query {} at position {} is in a block before that of query 0 at position {}; "
          "blocks start at query 0",
          query, visibility.position(query), visibility.position(0)));
    }
    last = std::max(last, row);
  }
  return {.query_blocks = last + 1, .key_blocks = (visibility.key_len() + block - 1) / block};
}

}  // namespace

Mask from_blocks(const Visibility& visibility, MaskExtent extent, const BlockMask& blocks) {
  check_extent(extent);
  const BlockGrid grid = block_grid(visibility, blocks.block);
  if (blocks.query_blocks != grid.query_blocks || blocks.key_blocks != grid.key_blocks) {
    throw ShapeError(fmt::format("{} x {} blocks of {} tokens; the queries and keys make {} x {}",
                                 blocks.query_blocks, blocks.key_blocks, blocks.block,
                                 grid.query_blocks, grid.key_blocks));
  }
  check_size("active", blocks.active.size(),
             extent.batch * extent.heads * grid.query_blocks * grid.key_blocks);
  return build_by_rows(visibility, extent, [&](TileRowBuilder& builder, int row, std::int64_t r) {
    const std::int64_t slice = r / visibility.query_len();
    const std::int64_t i = block_row(visibility, blocks.block, r % visibility.query_len());
    const std::uint8_t* active =
        blocks.active.data() + (slice * grid.query_blocks + i) * grid.key_blocks;
    for (std::int64_t begin = 0; begin < grid.key_blocks;) {
      std::int64_t end = begin + 1;
      if (active[begin] != 0) {
        while (end < grid.key_blocks && active[end] != 0) ++end;
        builder.add_range(row, begin * blocks.block, end * blocks.block);
      }
      begin = end;
    }
  });
}

BlockMask to_blocks(const Mask& mask, std::int64_t block) {
  const Visibility& visibility = mask.visibility();
  const BlockGrid grid = block_grid(visibility, block);
  BlockMask blocks{.block = block,
                   .query_blocks = grid.query_blocks,
                   .key_blocks = grid.key_blocks,
                   .active = {}};
  blocks.active.resize(
      to_size(mask.extent().batch * mask.extent().heads * grid.query_blocks * grid.key_blocks));
  detail::for_each_tile_row(
      mask.extent(), mask.tile_row_count(),
      [&](std::int64_t b, std::int64_t h, std::int64_t index) {
        const TileRowView view = mask.tile_row(b, h, index);
        const detail::VisibleWords visible(visibility, view.first_query, view.rows);
        const std::int64_t slice = b * mask.extent().heads + h;
        std::array<std::uint8_t*, kTileRows> active{};  // [rows] where each row's blocks begin
        for (int row = 0; row < view.rows; ++row) {
          const std::int64_t i = block_row(visibility, block, view.first_query + row);
          active[to_size(row)] =
              blocks.active.data() + (slice * grid.query_blocks + i) * grid.key_blocks;
        }
        view.for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
          const std::int64_t first = tile * kTileKeys;
          const std::int64_t last_block = (std::min(first + kTileKeys, mask.key_len()) - 1) / block;
          std::uint64_t united = 0;  // the bits of all rows so far in the same row of blocks
          for (int row = 0; row < view.rows; ++row) {
            united |= words == nullptr ? visible.word(row, tile) : words[row];
            if (row + 1 < view.rows && active[to_size(row + 1)] == active[to_size(row)]) continue;
            for (std::int64_t j = first / block; j <= last_block; ++j) {
              const std::uint64_t keys =
                  detail::low_bits((j + 1) * block - first) & ~detail::low_bits(j * block - first);
              if ((united & keys) != 0) active[to_size(row)][j] = 1;
            }
            united = 0;
          }
        });
        for (int row = 0; row < view.rows; ++row) {
          for (const std::int32_t key : mask.sampled(b, h, view.first_query + row).keys) {
            active[to_size(row)][key / block] = 1;
          }
        }
      });
  return blocks;
}

}  // namespace maskerade
