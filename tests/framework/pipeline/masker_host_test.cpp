#include "framework/pipeline/masker_host.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "framework/base/philox.hpp"

namespace maskerade {
namespace {

const MaskerIdentity kIdentity{
    .seed = 5, .place = 2, .layer = 3, .depends_on = MASKERADE_DEPENDS_SEED};

TEST(MaskerHost, RandomSequencesHaveNoCuts) {
  const MaskerHost owner(kIdentity);
  const maskerade_host* host = owner.c_host();
  std::vector<float> whole(100);
  ASSERT_EQ(host->normals(host, 1, 0, whole.size(), whole.data()), MASKERADE_OK);
  std::vector<float> parts(100);
  host->normals(host, 1, 0, 37, parts.data());
  host->normals(host, 1, 37, 63, parts.data() + 37);
  EXPECT_EQ(whole, parts);
  host->normals(host, 2, 0, 100, parts.data());
  EXPECT_NE(whole, parts);
  double mean = 0;
  for (const float value : whole) mean += value / 100.0;
  EXPECT_LT(std::abs(mean), 0.5);
  std::vector<double> uniform(1000);
  ASSERT_EQ(host->uniforms(host, 1, 0, uniform.size(), uniform.data()), MASKERADE_OK);
  for (const double value : uniform) EXPECT_TRUE(value >= 0 && value < 1);
}

TEST(MaskerHost, RefusesUndeclaredRandomness) {
  const MaskerHost owner({.seed = 5, .depends_on = MASKERADE_DEPENDS_KEY});
  const maskerade_host* host = owner.c_host();
  float value = 7;
  EXPECT_EQ(host->normals(host, 0, 0, 1, &value), MASKERADE_FAILED);
  EXPECT_EQ(value, 7);
}

TEST(MaskerHost, TurnsVectorsAsTheDataSays) {
  MaskerIdentity identity = kIdentity;
  identity.rope = std::make_shared<const Rope>(
      Rope{.pairs = Rope::Pairs::kNeighbours, .frequencies = {1, 0.1F}, .scale = 2});
  const MaskerHost owner(identity);
  const maskerade_host* host = owner.c_host();
  ASSERT_NE(host->rope, nullptr);
  EXPECT_EQ(host->rope->struct_size, sizeof(maskerade_rope));
  EXPECT_EQ(host->rope->pairs, std::uint32_t{MASKERADE_ROPE_NEIGHBOURS});
  EXPECT_EQ(host->rope->pair_count, 2U);
  EXPECT_EQ(host->rope->frequencies[1], 0.1F);
  EXPECT_EQ(host->rope->scale, 2);
  const std::vector<std::int64_t> positions = {3, 9};
  const std::vector<float> vectors = {1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<float> turned = vectors;
  EXPECT_EQ(host->rotate(host, turned.data(), 2, 4, positions.data()), MASKERADE_OK);
  std::vector<float> expected = vectors;
  identity.rope->turn(expected, 4, positions);
  EXPECT_EQ(turned, expected);
  EXPECT_EQ(host->unrotate(host, turned.data(), 2, 4, positions.data()), MASKERADE_OK);
  for (std::size_t i = 0; i < turned.size(); ++i) EXPECT_NEAR(turned[i], vectors[i], 1e-5);
  // Vectors that are too short for the pairs.
  turned = vectors;
  EXPECT_EQ(host->rotate(host, turned.data(), 2, 3, positions.data()), MASKERADE_FAILED);
  EXPECT_EQ(turned, vectors);
}

TEST(MaskerHost, TurnsNothingWhereTheDataDoesNotSay) {
  const MaskerHost owner(kIdentity);
  const maskerade_host* host = owner.c_host();
  EXPECT_EQ(host->rope, nullptr);
  const std::int64_t position = 1;
  float vector[2] = {1, 2};
  EXPECT_EQ(host->rotate(host, vector, 1, 2, &position), MASKERADE_FAILED);
  EXPECT_EQ(host->unrotate(host, vector, 1, 2, &position), MASKERADE_FAILED);
  EXPECT_EQ(vector[0], 1);
}

TEST(MaskerHost, MultipliesRowsInTheOrderOfTheScores) {
  const MaskerHost owner(kIdentity);
  const RandomField field({.seed = 1});
  constexpr std::size_t kMostVectors = 11;
  constexpr std::int64_t kProductStride = 140;
  constexpr std::size_t kRows = 131;
  constexpr std::size_t kDim = 19;
  constexpr std::int64_t kStride = 23;
  std::vector<float> vectors(kMostVectors * kDim);
  std::vector<float> rows(kRows * kStride);
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    vectors[i] = static_cast<float>(field.normal(0, static_cast<std::uint32_t>(i)));
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<float>(field.normal(1, static_cast<std::uint32_t>(i)));
  }
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{8}, kMostVectors}) {
    std::vector<float> products(kMostVectors * kProductStride, -1.0F);
    owner.c_host()->multiply_rows(vectors.data(), count, rows.data(), kStride, kRows, kDim,
                                  products.data(), kProductStride);
    for (std::size_t i = 0; i < kMostVectors; ++i) {
      for (std::size_t j = 0; j < kProductStride; ++j) {
        float expected = -1.0F;  // nothing is written there
        if (i < count && j < kRows) {
          expected = 0;
          for (std::size_t d = 0; d < kDim; ++d) {
            const float element = rows[j * static_cast<std::size_t>(kStride) + d];
            expected = std::fma(vectors[i * kDim + d], element, expected);
          }
        }
        EXPECT_EQ(products[i * kProductStride + j], expected) << i << ' ' << j;
      }
    }
    // One row by itself.
    std::vector<float> of_row(kMostVectors, -1.0F);
    owner.c_host()->multiply_rows(vectors.data(), count, rows.data() + kStride, kStride, 1, kDim,
                                  of_row.data(), 1);
    for (std::size_t i = 0; i < kMostVectors; ++i) {
      EXPECT_EQ(of_row[i], products[i * kProductStride + 1]) << i;
    }
  }
}

TEST(MaskerHost, WritesNoMoreThanTheTensorThatItIsGiven) {
  const MaskerHost owner(kIdentity);
  maskerade_tensor tensor{};
  char error[128] = "";
  const auto read = [&](std::uint32_t struct_size) {
    tensor.struct_size = struct_size;
    return owner.c_host()->read_tensor(owner.c_host(), "/nowhere.npy", "", &tensor, error,
                                       sizeof(error));
  };
  for (const std::uint32_t size : {std::size_t{0}, sizeof(tensor) - 8}) {
    EXPECT_EQ(read(size), MASKERADE_FAILED);
    EXPECT_STREQ(error, "read_tensor: set tensor->struct_size to sizeof(maskerade_tensor)");
    EXPECT_EQ(tensor.data, nullptr);
  }
  EXPECT_EQ(read(sizeof(tensor)), MASKERADE_FAILED);
  EXPECT_NE(std::string(error).find("/nowhere.npy"), std::string::npos) << error;
}

TEST(MaskerHost, CountsEqualBits) {
  const MaskerHost owner(kIdentity);
  const std::vector<std::uint64_t> signature = {0xF0F0, 1};
  const std::vector<std::uint64_t> signatures = {0xF0F0, 1, 0xF0F1, 0, ~0xF0F0ULL, ~1ULL};
  std::vector<float> matches(3);
  owner.c_host()->match_bits(signature.data(), signatures.data(), 2, 3, matches.data());
  EXPECT_EQ(matches, (std::vector<float>{128, 126, 0}));
}

TEST(MaskerHost, ExponentialsAreThoseOfTheLibrary) {
  const MaskerHost owner(kIdentity);
  std::vector<float> scores;
  for (int i = 0; i < 203; ++i) scores.push_back(static_cast<float>(i) * -1.7F);
  scores.push_back(-std::numeric_limits<float>::infinity());
  std::vector<double> weights(scores.size());
  owner.c_host()->exponentials(scores.data(), scores.size(), 0.3, 0.0F, weights.data());
  for (std::size_t i = 0; i + 1 < scores.size(); ++i) {
    const double exact = std::exp(0.3 * double{scores[i]});
    EXPECT_NEAR(weights[i] / exact, 1, 1e-13) << i;
  }
  EXPECT_EQ(weights.back(), 0.0);
}

}  // namespace
}  // namespace maskerade
