#pragma once

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "experiments/rules/random_problem.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/mask.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade::testing {

using Kind = rules::MaskKind;

inline std::int64_t draw(std::int64_t low, std::int64_t high) {
  return *rc::gen::inRange<std::int64_t>(low, high + 1);
}

inline std::mt19937_64 random_engine() { return std::mt19937_64(*rc::gen::arbitrary<unsigned>()); }

inline Visibility random_visibility() {
  const std::int64_t key_len = *rc::gen::weightedOneOf<std::int64_t>(
      {{1, rc::gen::just<std::int64_t>(1)},
       {1, rc::gen::just<std::int64_t>(128)},
       {1, rc::gen::inRange<std::int64_t>(4000, 9000)},  // more than 64 tiles
       {6, rc::gen::inRange<std::int64_t>(1, 300)}});
  std::int64_t query_len =
      *rc::gen::weightedOneOf<std::int64_t>({{1, rc::gen::just<std::int64_t>(1)},
                                             {1, rc::gen::just<std::int64_t>(64)},
                                             {6, rc::gen::inRange<std::int64_t>(1, 140)}});
  if (key_len >= 4000) query_len = std::min<std::int64_t>(query_len, 3);
  std::mt19937_64 engine = random_engine();
  return rules::random_visibility(query_len, key_len, engine);
}

inline MaskExtent random_extent() { return {draw(1, 2), draw(1, 2)}; }

inline std::int64_t entry_count(const Visibility& visibility, MaskExtent extent) {
  return extent.batch * extent.heads * visibility.query_len() * visibility.key_len();
}

// Whether entry `index` of a dense [batch, heads, query_len, key_len] array is visible.
inline bool is_visible(const Visibility& visibility, std::int64_t index) {
  const std::int64_t query = index / visibility.key_len() % visibility.query_len();
  return index % visibility.key_len() < visibility.end(query);
}

// See rules::random_weights.
inline std::vector<float> random_weights(const Visibility& visibility,
                                         MaskExtent extent,
                                         Kind kind) {
  std::mt19937_64 engine = random_engine();
  return rules::random_weights(visibility, extent, kind, engine);
}

inline Mask random_mask(const Visibility& visibility, MaskExtent extent, Kind kind) {
  return from_dense(visibility, extent, random_weights(visibility, extent, kind));
}

// What f throws, "" when it throws nothing.
template <typename F>
std::string shape_error_of(F&& f) {
  try {
    f();
  } catch (const ShapeError& error) {
    return error.what();
  }
  return "";
}

}  // namespace maskerade::testing
