#pragma once

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/mask.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade::testing {

// Whether the probabilities of a random mask may be below 1.
enum class Kind { kBits, kSampled };

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
  switch (draw(0, 3)) {
    case 0:
      return Visibility::all(query_len, key_len);
    case 1:
      return Visibility::causal(std::min(query_len, key_len), key_len);
    default: {
      std::mt19937_64 engine = random_engine();
      std::vector<std::int64_t> positions(static_cast<std::size_t>(query_len));
      for (std::int64_t& position : positions) {
        position = static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(key_len));
      }
      if (draw(0, 1) == 0) std::sort(positions.begin(), positions.end());
      return Visibility::at_positions(positions, key_len, draw(0, 3) != 0);
    }
  }
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

// A dense mask, 0 where hidden, whose 64 x 64 tiles are empty, full or mixed.
inline std::vector<float> random_weights(const Visibility& visibility,
                                         MaskExtent extent,
                                         Kind kind) {
  std::mt19937_64 engine = random_engine();
  const std::int64_t key_len = visibility.key_len();
  const std::int64_t tiles = (key_len + 63) / 64;
  std::vector<float> weights(static_cast<std::size_t>(entry_count(visibility, extent)));
  std::vector<int> modes(static_cast<std::size_t>(tiles));
  for (std::int64_t row = 0; row * key_len < static_cast<std::int64_t>(weights.size()); ++row) {
    if (row % visibility.query_len() % 64 == 0) {
      for (int& mode : modes) mode = static_cast<int>(engine() % 5);
    }
    for (std::int64_t key = 0; key < visibility.end(row % visibility.query_len()); ++key) {
      const int mode = modes[static_cast<std::size_t>(key / 64)];
      float weight = 0.0F;
      if (mode == 1) weight = 1.0F;
      if (mode == 2) weight = engine() % 2 == 0 ? 1.0F : 0.0F;
      if (mode == 3) weight = engine() % 64 == 0 ? 1.0F : 0.0F;
      if (mode == 4) weight = engine() % 64 != 0 ? 1.0F : 0.0F;
      if (kind == Kind::kSampled && engine() % 16 == 0) {
        weight = static_cast<float>(engine() % 1023 + 1) / 1024.0F;
      }
      weights[static_cast<std::size_t>(row * key_len + key)] = weight;
    }
  }
  return weights;
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
