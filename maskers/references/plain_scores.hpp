// Scores and top-k written as they are defined, for references: the host's own services are what
// references are there to check.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "framework/sdk/masker.hpp"

namespace maskerade::plain {

// The number of the row's head in its call.
inline std::int64_t head_of(const sdk::Row& row) {
  const maskerade_call& call = row.call();
  return call.head_begin + row.number() / (call.query_end - call.query_begin);
}

// A key of the row's kv head, widened to float32.
inline std::vector<float> key_of(const sdk::Row& row, std::int64_t key) {
  const maskerade_call& call = row.call();
  const std::int64_t group = call.shape.query_heads / call.shape.kv_heads;
  std::vector<float> widened(static_cast<std::size_t>(call.shape.head_dim));
  call.host->to_float(call.k.dtype, sdk::row_of(call.k, head_of(row) / group, key), widened.size(),
                      widened.data());
  return widened;
}

// Candidates with their scores. A NaN counts as the lowest score.
using Scored = std::vector<std::pair<float, std::int64_t>>;

// The `count` best ones: the higher score, then the lower number.
inline std::vector<std::int64_t> best(Scored candidates, std::int64_t count) {
  for (auto& [score, number] : candidates) {
    if (std::isnan(score)) score = -INFINITY;
  }
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  std::vector<std::int64_t> numbers;
  for (const auto& candidate : candidates) {
    if (static_cast<std::int64_t>(numbers.size()) >= count) break;
    numbers.push_back(candidate.second);
  }
  return numbers;
}

// Throws unless every query head selects for itself.
inline void refuse_sharing(const sdk::Arguments& arguments) {
  if (arguments.choice("share") != "query_head") {
    throw std::invalid_argument("the reference lets every query head select for itself");
  }
}

}  // namespace maskerade::plain
