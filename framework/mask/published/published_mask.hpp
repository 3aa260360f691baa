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
  kError,  // it throws ShapeError
  kLast,   // it takes the last one, as the published code does
};

// The active entries of a mask as a list. Those of row r are the entries i with
// offsets[r] <= i < offsets[r + 1]; entry i has the weight weights[i] and the flat index
// indices[i] = r * key_len + key.
struct PublishedEntries {
  std::vector<std::int64_t> indices;  // ascending
  std::vector<std::int64_t> offsets;  // [rows + 1]
  std::vector<float> weights;         // [indices.size()]
};

// A mask with the semantics of sparse-attention-hub, for parity with published code; the program's
// own masks are Mask. A weight per (batch, head, query, key): 0 is inactive, p > 0 is active with
// inclusion probability p. It knows no causality. Two states are flags and not weights: flagged
// empty ("no mask built yet") and flagged full; a mask whose weights happen to be all 0 or all 1
// has neither flag. A value in host memory.
class PublishedMask {
 public:
  static PublishedMask flagged_empty(const PublishedShape& shape);
  static PublishedMask flagged_full(const PublishedShape& shape);

  // The mask with these weights, [batch, heads, query_len, key_len]. Throws ShapeError when their
  // number does not fit the shape, or when one is negative or not finite; so do the functions
  // below.
  static PublishedMask from_dense(const PublishedShape& shape, std::vector<float> weights);

  // The mask with these entries, which are flat indices r * key_len + key in any order. There is
  // one weight per index, or none and all are 1. When offsets are given, they are [rows + 1] as in
  // PublishedEntries, and each index must lie in its row. Throws ShapeError on an index that is out
  // of range or in another row, and on one that appears twice unless duplicates is kLast.
  static PublishedMask from_indices(const PublishedShape& shape,
                                    std::span<const std::int64_t> indices,
                                    std::span<const float> weights,
                                    std::span<const std::int64_t> offsets = {},
                                    Duplicates duplicates = Duplicates::kError);

  // The mask with these keys for each row, [rows, keys_per_row]; a negative key is padding and adds
  // nothing. There are as many weights, or none and all are 1. Throws as from_indices() does.
  static PublishedMask from_rows(const PublishedShape& shape,
                                 std::span<const std::int64_t> keys,
                                 std::span<const float> weights,
                                 std::int64_t keys_per_row,
                                 Duplicates duplicates = Duplicates::kError);

  // The mask whose weights are the inclusion probabilities of `mask`, broadcast to batch x heads.
  // It is never flagged. Throws ShapeError when its extent does not fit.
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
  // The stored weights, [batch, heads, query_len, key_len]; none when flagged.
  std::span<const float> weights() const noexcept { return weights_; }
  // The weights as weight() gives them, flagged or not: [batch, heads, query_len, key_len].
  std::vector<float> to_dense() const;
  PublishedEntries to_indices() const;  // the entries with a weight above 0
  // The same entries as a Mask, without those that are not visible. Throws ShapeError when the
  // lengths differ or a weight is above 1.
  Mask to_mask(const Visibility& visibility) const;

  std::vector<std::int64_t> row_active() const;  // [rows] each row's entries with a weight above 0
  std::int64_t active_entries() const;           // the entries of all rows with a weight above 0
  double density() const;                        // active entries / all entries

  // Whether shape, flags and weights are equal.
  friend bool operator==(const PublishedMask&, const PublishedMask&) = default;

 private:
  enum class State { kWeights, kEmpty, kFull };
  PublishedMask(const PublishedShape& shape, State state, std::vector<float> weights);

  PublishedShape shape_;
  State state_;
  std::vector<float> weights_;  // empty when flagged
};

}  // namespace maskerade
