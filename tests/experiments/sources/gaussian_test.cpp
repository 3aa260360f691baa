#include "experiments/sources/gaussian.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "framework/base/philox.hpp"

namespace maskerade {
namespace {

std::vector<float> values_of(const Tensor& tensor) {
  const TensorView& view = tensor.view();
  std::vector<float> values(
      static_cast<std::size_t>(view.batch * view.heads * view.length * view.dim));
  convert_to_float(view.dtype, view.data, values.size(), values.data());
  return values;
}

std::vector<float> generate(std::uint64_t seed,
                            GaussianTensor tensor,
                            std::int64_t batch,
                            std::int64_t heads,
                            std::int64_t length,
                            std::int64_t dim) {
  return values_of(gaussian_tensor(seed, tensor, DType::kFloat32, batch, heads, length, dim));
}

TEST(Gaussian, TheSameSeedGivesTheSameTensor) {
  EXPECT_EQ(generate(3, GaussianTensor::kQuery, 2, 3, 300, 7),
            generate(3, GaussianTensor::kQuery, 2, 3, 300, 7));
}

TEST(Gaussian, SeedsTensorsBatchesAndHeadsDiffer) {
  const std::vector<float> base = generate(3, GaussianTensor::kQuery, 1, 1, 8, 8);
  EXPECT_NE(base, generate(4, GaussianTensor::kQuery, 1, 1, 8, 8));
  EXPECT_NE(base, generate(3, GaussianTensor::kKey, 1, 1, 8, 8));
  EXPECT_NE(generate(3, GaussianTensor::kKey, 1, 1, 8, 8),
            generate(3, GaussianTensor::kValue, 1, 1, 8, 8));
  const std::vector<float> four = generate(3, GaussianTensor::kQuery, 2, 2, 8, 8);
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = i + 1; j < 4; ++j) {
      EXPECT_NE(0, std::memcmp(&four[i * 64], &four[j * 64], 64 * sizeof(float)));
    }
  }
}

// Each row is its own multiple of the same row without spread, by a log-normal factor.
TEST(Gaussian, SpreadMakesRowsLonger) {
  constexpr std::int64_t kRows = 4000;
  const std::vector<float> plain = generate(3, GaussianTensor::kKey, 1, 1, kRows, 4);
  const std::vector<float> spread =
      values_of(gaussian_tensor(3, GaussianTensor::kKey, DType::kFloat32, 1, 1, kRows, 4, 0.5));
  double sum = 0;
  double squares = 0;
  for (std::size_t row = 0; row < kRows; ++row) {
    const double factor = double{spread[4 * row]} / double{plain[4 * row]};
    for (std::size_t d = 1; d < 4; ++d) {
      EXPECT_NEAR(spread[4 * row + d], factor * double{plain[4 * row + d]}, 1e-5 * factor);
    }
    sum += std::log(factor);
    squares += std::log(factor) * std::log(factor);
  }
  EXPECT_NEAR(sum / kRows, 0, 5 * 0.5 / std::sqrt(kRows));
  EXPECT_NEAR(std::sqrt(squares / kRows), 0.5, 5 * 0.5 / std::sqrt(2.0 * kRows));
}

TEST(Gaussian, AnElementDoesNotDependOnTheShape) {
  const Tensor small = gaussian_tensor(9, GaussianTensor::kKey, DType::kFloat32, 1, 2, 5, 3);
  const Tensor large = gaussian_tensor(9, GaussianTensor::kKey, DType::kFloat32, 2, 4, 600, 8);
  std::vector<float> small_row(3);
  std::vector<float> large_row(8);
  for (std::int64_t h = 0; h < 2; ++h) {
    for (std::int64_t i = 0; i < 5; ++i) {
      small.view().load_row(0, h, i, small_row.data());
      large.view().load_row(0, h, i, large_row.data());
      for (std::size_t d = 0; d < 3; ++d) EXPECT_EQ(small_row[d], large_row[d]);
    }
  }
}

TEST(Gaussian, ElementsAreThoseOfTheRandomField) {
  const Tensor tensor = gaussian_tensor(5, GaussianTensor::kValue, DType::kFloat32, 2, 3, 400, 4);
  const RandomField field({.seed = 5, .stream = 2, .batch = 1, .head = 2});
  std::vector<float> row(4);
  tensor.view().load_row(1, 2, 399, row.data());
  for (std::uint32_t d = 0; d < 4; ++d) {
    EXPECT_EQ(row[d], static_cast<float>(field.normal(399, d)));
  }
}

// n = 2^20 numbers: the mean has standard deviation 2^-10, the variance 2^-9.5, the fourth moment
// sqrt(96 / n). Bounds are 5 of them (alpha below 1e-6 each).
TEST(Gaussian, MomentsAreThoseOfAStandardNormal) {
  const std::vector<float> values = generate(11, GaussianTensor::kKey, 1, 4, 4096, 64);
  const auto count = static_cast<double>(values.size());
  ASSERT_EQ(count, 1048576.0);
  double mean = 0;
  double second = 0;
  double fourth = 0;
  double neighbours = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = values[i];
    mean += x / count;
    second += x * x / count;
    fourth += x * x * x * x / count;
    if (i > 0) neighbours += x * values[i - 1] / count;
  }
  EXPECT_NEAR(mean, 0, 5 * std::sqrt(1 / count));
  EXPECT_NEAR(second, 1, 5 * std::sqrt(2 / count));
  EXPECT_NEAR(fourth, 3, 5 * std::sqrt(96 / count));
  EXPECT_NEAR(neighbours, 0, 5 * std::sqrt(1 / count));
}

TEST(Gaussian, NarrowTypesAreTheRoundedNumbers) {
  const std::vector<float> exact = generate(1, GaussianTensor::kQuery, 1, 2, 33, 16);
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    const Tensor tensor = gaussian_tensor(1, GaussianTensor::kQuery, dtype, 1, 2, 33, 16);
    EXPECT_EQ(tensor.view().dtype, dtype);
    std::vector<std::uint16_t> expected(exact.size());
    convert_from_float(dtype, exact.data(), exact.size(), expected.data());
    EXPECT_EQ(0, std::memcmp(expected.data(), tensor.view().data, expected.size() * 2));
  }
}

TEST(Gaussian, MemoryIsAligned) {
  const Tensor tensor = gaussian_tensor(1, GaussianTensor::kQuery, DType::kFloat16, 1, 1, 1, 1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.view().data) % 64, 0U);
}

}  // namespace
}  // namespace maskerade
