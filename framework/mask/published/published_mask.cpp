#include "framework/mask/published/published_mask.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"

namespace maskerade {
namespace {

std::size_t to_size(std::int64_t value) { return static_cast<std::size_t>(value); }

void check_shape(const PublishedShape& shape) {
  if (shape.batch < 1 || shape.heads < 1 || shape.query_len < 1 || shape.key_len < 1) {
    throw ShapeError(fmt::format("a published mask of shape {}; each size must be at least 1",
                                 shape.to_string()));
  }
}

void check_count(const char* name, std::size_t count, std::int64_t expected) {
  if (count != to_size(expected)) {
    throw ShapeError(fmt::format("{} has {} elements; it must have {}", name, count, expected));
  }
}

// An entry as error messages show it: "batch 0, head 1, query 2, key 5".
std::string describe_entry(const PublishedShape& shape, std::int64_t index) {
  const std::int64_t row = index / shape.key_len;
  return fmt::format("batch {}, head {}, query {}, key {}", row / shape.query_len / shape.heads,
                     row / shape.query_len % shape.heads, row % shape.query_len,
                     index % shape.key_len);
}

void check_weight(const PublishedShape& shape, std::int64_t index, float weight) {
  if (!std::isfinite(weight) || weight < 0.0F) {
    throw ShapeError(fmt::format("{}: the weight is {}; it must be finite and at least 0",
                                 describe_entry(shape, index), weight));
  }
}

void check_weights(const PublishedShape& shape, std::span<const float> weights) {
  // Nearly always every weight is fine, which this loop finds out fast because the compiler turns
  // it into vector code. Only when one is not does the second loop look for it and throw.
  unsigned refused = 0;
  for (const float weight : weights) {
    refused |= weight >= 0.0F && weight <= std::numeric_limits<float>::max() ? 0U : 1U;
  }
  if (refused == 0) return;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    check_weight(shape, static_cast<std::int64_t>(i), weights[i]);
  }
}

void check_offsets(const PublishedShape& shape,
                   std::span<const std::int64_t> indices,
                   std::span<const std::int64_t> offsets) {
  check_count("offsets", offsets.size(), shape.rows() + 1);
  if (offsets.front() != 0 || offsets.back() != static_cast<std::int64_t>(indices.size()) ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    throw ShapeError(
        fmt::format("offsets must ascend from 0 to the number of indices, {}", indices.size()));
  }
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    for (std::int64_t i = offsets[to_size(row)]; i < offsets[to_size(row + 1)]; ++i) {
      if (indices[to_size(i)] / shape.key_len != row) {
        throw ShapeError(
            fmt::format("indices[{}] is {}, which lies in row {}; offsets put it in "
                        "row {}",
                        i, indices[to_size(i)], indices[to_size(i)] / shape.key_len, row));
      }
    }
  }
}

// Collects entries as dense weights. Throws ShapeError when an entry is written twice, unless
// duplicates is kLast.
class EntryWriter {
 public:
  EntryWriter(const PublishedShape& shape, Duplicates duplicates)
      : shape_(shape),
        duplicates_(duplicates),
        weights_(to_size(shape.entries())),
        written_(weights_.size()) {}

  void write(std::int64_t index, float weight) {
    check_weight(shape_, index, weight);
    if (duplicates_ == Duplicates::kError && written_[to_size(index)]) {
      throw ShapeError(
          fmt::format("{}: the entry appears twice; an entry may appear once, or "
                      "duplicates: last lets the last one count",
                      describe_entry(shape_, index)));
    }
    written_[to_size(index)] = true;
    weights_[to_size(index)] = weight;
  }
  std::vector<float> take() && { return std::move(weights_); }

 private:
  const PublishedShape& shape_;
  Duplicates duplicates_;
  std::vector<float> weights_;
  std::vector<bool> written_;
};

}  // namespace

std::string PublishedShape::to_string() const {
  return fmt::format("({}, {}, {}, {})", batch, heads, query_len, key_len);
}

PublishedMask::PublishedMask(const PublishedShape& shape, State state, std::vector<float> weights)
    : shape_(shape), state_(state), weights_(std::move(weights)) {
  check_shape(shape);
}

PublishedMask PublishedMask::flagged_empty(const PublishedShape& shape) {
  return {shape, State::kEmpty, {}};
}

PublishedMask PublishedMask::flagged_full(const PublishedShape& shape) {
  return {shape, State::kFull, {}};
}

PublishedMask PublishedMask::from_dense(const PublishedShape& shape, std::vector<float> weights) {
  check_shape(shape);
  check_count("weights", weights.size(), shape.entries());
  check_weights(shape, weights);
  return {shape, State::kWeights, std::move(weights)};
}

PublishedMask PublishedMask::from_indices(const PublishedShape& shape,
                                          std::span<const std::int64_t> indices,
                                          std::span<const float> weights,
                                          std::span<const std::int64_t> offsets,
                                          Duplicates duplicates) {
  check_shape(shape);
  if (!weights.empty()) {
    check_count("weights", weights.size(), static_cast<std::int64_t>(indices.size()));
  }
  if (!offsets.empty()) check_offsets(shape, indices, offsets);
  EntryWriter writer(shape, duplicates);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= shape.entries()) {
      throw ShapeError(fmt::format("indices[{}] is {}; a mask of shape {} takes 0 to {}", i,
                                   indices[i], shape.to_string(), shape.entries() - 1));
    }
    writer.write(indices[i], weights.empty() ? 1.0F : weights[i]);
  }
  return {shape, State::kWeights, std::move(writer).take()};
}

PublishedMask PublishedMask::from_rows(const PublishedShape& shape,
                                       std::span<const std::int64_t> keys,
                                       std::span<const float> weights,
                                       std::int64_t keys_per_row,
                                       Duplicates duplicates) {
  check_shape(shape);
  if (keys_per_row < 0) {
    throw ShapeError(fmt::format("keys_per_row is {}; it must be at least 0", keys_per_row));
  }
  check_count("keys", keys.size(), shape.rows() * keys_per_row);
  if (!weights.empty()) check_count("weights", weights.size(), shape.rows() * keys_per_row);
  EntryWriter writer(shape, duplicates);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] < 0) continue;
    const std::int64_t row = static_cast<std::int64_t>(i) / keys_per_row;
    if (keys[i] >= shape.key_len) {
      throw ShapeError(fmt::format("keys[{}], of row {}, is {}; it must be below key_len, {}", i,
                                   row, keys[i], shape.key_len));
    }
    writer.write(row * shape.key_len + keys[i], weights.empty() ? 1.0F : weights[i]);
  }
  return {shape, State::kWeights, std::move(writer).take()};
}

PublishedMask PublishedMask::from_mask(const Mask& mask, std::int64_t batch, std::int64_t heads) {
  return {{batch, heads, mask.query_len(), mask.key_len()},
          State::kWeights,
          maskerade::to_dense(broadcast(mask, {batch, heads}))};
}

std::vector<float> PublishedMask::to_dense() const {
  if (state_ == State::kWeights) return weights_;
  return std::vector<float>(to_size(shape_.entries()), state_ == State::kFull ? 1.0F : 0.0F);
}

PublishedEntries PublishedMask::to_indices() const {
  PublishedEntries entries;
  entries.offsets.push_back(0);
  for (std::int64_t index = 0; index < shape_.entries(); ++index) {
    if (const float value = weight(index); value > 0.0F) {
      entries.indices.push_back(index);
      entries.weights.push_back(value);
    }
    if ((index + 1) % shape_.key_len == 0) {
      entries.offsets.push_back(static_cast<std::int64_t>(entries.indices.size()));
    }
  }
  return entries;
}

Mask PublishedMask::to_mask(const Visibility& visibility) const {
  if (visibility.query_len() != shape_.query_len || visibility.key_len() != shape_.key_len) {
    throw ShapeError(fmt::format(
        "a published mask of {} queries x {} keys does not fit a "
        "visibility of {} x {}",
        shape_.query_len, shape_.key_len, visibility.query_len(), visibility.key_len()));
  }
  const MaskExtent extent{shape_.batch, shape_.heads};
  if (state_ == State::kEmpty) return Mask::empty(visibility, extent);
  if (state_ == State::kFull) return Mask::full(visibility, extent);
  return maskerade::from_dense(visibility, extent, weights_);
}

std::vector<std::int64_t> PublishedMask::row_active() const {
  std::vector<std::int64_t> counts(to_size(shape_.rows()));
  for (std::int64_t index = 0; index < shape_.entries(); ++index) {
    if (weight(index) > 0.0F) ++counts[to_size(index / shape_.key_len)];
  }
  return counts;
}

std::int64_t PublishedMask::active_entries() const {
  const std::vector<std::int64_t> counts = row_active();
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

double PublishedMask::density() const {
  return static_cast<double>(active_entries()) / static_cast<double>(shape_.entries());
}

}  // namespace maskerade
