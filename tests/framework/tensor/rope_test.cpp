#include "framework/tensor/rope.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace maskerade {
namespace {

constexpr std::size_t kDim = 6;

Rope some_rope(Rope::Pairs pairs) {
  return {.pairs = pairs, .frequencies = {1, 0.1F}, .scale = 1.5F};
}

std::vector<float> some_vectors() {
  std::vector<float> vectors(3 * kDim);
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    vectors[i] = static_cast<float>(std::sin(1.0 + 3.7 * static_cast<double>(i)));
  }
  return vectors;
}

float product(const float* a, const float* b) {
  float sum = 0;
  for (std::size_t d = 0; d < kDim; ++d) sum += a[d] * b[d];
  return sum;
}

// A quarter turn takes (1, 0) to (0, 1), in the components of each style.
TEST(Rope, TurnsTheComponentsOfAPair) {
  const auto quarter = static_cast<float>(std::numbers::pi / 2);
  const std::vector<std::int64_t> positions = {1};
  std::vector<float> vector = {1, 2, 0, 0, 5};
  Rope rope{.pairs = Rope::Pairs::kHalves, .frequencies = {quarter, 0}};
  rope.turn(vector, vector.size(), positions);
  EXPECT_NEAR(vector[0], 0, 1e-6);
  EXPECT_EQ(vector[1], 2);
  EXPECT_NEAR(vector[2], 1, 1e-6);
  EXPECT_EQ(vector[3], 0);
  EXPECT_EQ(vector[4], 5);
  vector = {1, 0, 2, 3, 5};
  rope.pairs = Rope::Pairs::kNeighbours;
  rope.turn(vector, vector.size(), positions);
  EXPECT_NEAR(vector[0], 0, 1e-6);
  EXPECT_NEAR(vector[1], 1, 1e-6);
  EXPECT_EQ(vector[2], 2);
  EXPECT_EQ(vector[3], 3);
  EXPECT_EQ(vector[4], 5);
}

TEST(Rope, TurningBackUndoesTurning) {
  const std::vector<std::int64_t> positions = {0, 7, 4'000};
  for (const Rope::Pairs pairs : {Rope::Pairs::kHalves, Rope::Pairs::kNeighbours}) {
    const Rope rope = some_rope(pairs);
    std::vector<float> vectors = some_vectors();
    rope.turn(vectors, kDim, positions);
    EXPECT_GT(std::abs(vectors[kDim] - some_vectors()[kDim]), 0.01);
    rope.turn_back(vectors, kDim, positions);
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      EXPECT_NEAR(vectors[i], some_vectors()[i], 1e-5) << i;
    }
  }
}

// What RoPE is for: products depend on the distance alone.
TEST(Rope, ProductsDependOnTheDistance) {
  const Rope rope = some_rope(Rope::Pairs::kHalves);
  const auto at = [&](std::int64_t first, std::int64_t second) {
    std::vector<float> vectors = some_vectors();
    rope.turn(std::span(vectors).first(2 * kDim), kDim, std::vector<std::int64_t>{first, second});
    return product(vectors.data(), vectors.data() + kDim);
  };
  EXPECT_NEAR(at(3, 10), at(20, 27), 1e-4);
  EXPECT_GT(std::abs(at(3, 10) - at(3, 11)), 1e-3);
}

TEST(Rope, WithoutFrequenciesTurnsNothing) {
  std::vector<float> vectors = some_vectors();
  Rope{.scale = 2}.turn(vectors, kDim, std::vector<std::int64_t>{1, 2, 3});
  EXPECT_EQ(vectors, some_vectors());
}

}  // namespace
}  // namespace maskerade
