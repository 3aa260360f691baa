#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framework/mask/mask.hpp"

namespace maskerade {

// The shape of a published mask. All sizes are at least 1.
struct PublishedShape {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t query_len = 1;
  std::int64_t key_len = 1;

  std::int64_t rows() const noexcept { return batch * heads * query_len; }
  std::int64_t entries() const noexcept { return rows() * key_len; }
  std::string to_string() const;  // "(1, 8, 16, 256)"

  friend bool operator==(const PublishedShape&, const PublishedShape&) = default;
};

// What a constructor does with an entry that is given twice.
enum class Duplicates {
  kError,  // throws ShapeError
  kLast,   // the last one counts, as in the published code
};

// The index form of a mask: entry i of row r, offsets[r] <= i < offsets[r + 1], is the weight
// weights[i] at the flat index indices[i] = r * key_len + key. Ascending when a mask gives it.
struct PublishedEntries {
  std::vector<std::int64_t> indices;
  std::vector<std::int64_t> offsets;  // [rows + 1]
  std::vector<float> weights;
};

// A mask with the semantics of sparse-attention-hub, for parity with published code; the program's
// own masks are Mask. A weight per (batch, head, query, key): 0 is inactive, p > 0 is active with
// inclusion probability p. It knows no causality. Two states are flags and not weights: flagged
// empty ("no mask built yet") and flagged full; a mask whose weights happen to be all 0 or all 1
// has neither flag. A value.
class PublishedMask {
 public:
  static PublishedMask flagged_empty(const PublishedShape& shape);
  static PublishedMask flagged_full(const PublishedShape& shape);

  // weights[batch, heads, query_len, key_len]. Throws ShapeError when the number does not fit or a
  // weight is negative or not finite; so do all constructors from weights.
  static PublishedMask from_dense(const PublishedShape& shape, std::vector<float> weights);

  // Flat indices r * key_len + key in any order. weights: one per index, or none (all 1). offsets:
  // [rows + 1] as in PublishedEntries, or none; when given, each index must lie in its row. Throws
  // ShapeError on an index out of range, and on one that appears twice unless duplicates is kLast.
  static PublishedMask from_indices(const PublishedShape& shape,
                                    std::span<const std::int64_t> indices,
                                    std::span<const float> weights,
                                    std::span<const std::int64_t> offsets = {},
                                    Duplicates duplicates = Duplicates::kError);

  // keys[rows, keys_per_row], key ids of each row; a negative one is padding and adds nothing.
  // weights: of the same size, or none (all 1). Throws as from_indices does.
  static PublishedMask from_rows(const PublishedShape& shape,
                                 std::span<const std::int64_t> keys,
                                 std::span<const float> weights,
                                 std::int64_t keys_per_row,
                                 Duplicates duplicates = Duplicates::kError);

  // The probabilities of `mask` over batch x heads (broadcast); never flagged. Throws ShapeError
  // when its extent does not fit.
  static PublishedMask from_mask(const Mask& mask, std::int64_t batch, std::int64_t heads);

  const PublishedShape& shape() const noexcept { return shape_; }
  bool is_flagged_empty() const noexcept { return state_ == State::kEmpty; }
  bool is_flagged_full() const noexcept { return state_ == State::kFull; }
  bool is_flagged() const noexcept { return state_ != State::kWeights; }

  // The weight at a flat index; 0 when flagged empty, 1 when flagged full.
  float weight(std::int64_t index) const noexcept {
    if (state_ == State::kWeights) return weights_[static_cast<std::size_t>(index)];
    return state_ == State::kFull ? 1.0F : 0.0F;
  }
  // [batch, heads, query_len, key_len]; none when flagged.
  std::span<const float> weights() const noexcept { return weights_; }
  std::vector<float> to_dense() const;  // [batch, heads, query_len, key_len]
  PublishedEntries to_indices() const;  // the entries above 0
  // Our mask of the entries that `visibility` shows. Throws ShapeError when the lengths differ or a
  // weight is above 1.
  Mask to_mask(const Visibility& visibility) const;

  std::vector<std::int64_t> row_active() const;  // [rows] entries above 0
  std::int64_t active_entries() const;           // over all rows
  double density() const;                        // active entries / all entries

  // Equal shape, flags and weights.
  friend bool operator==(const PublishedMask&, const PublishedMask&) = default;

 private:
  enum class State { kWeights, kEmpty, kFull };
  PublishedMask(const PublishedShape& shape, State state, std::vector<float> weights);

  PublishedShape shape_;
  State state_;
  std::vector<float> weights_;  // empty when flagged
};

}  // namespace maskerade
