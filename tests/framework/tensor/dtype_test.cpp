#include "framework/tensor/dtype.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace maskerade {
namespace {

constexpr DType kTypes[] = {DType::kFloat32, DType::kFloat16, DType::kBFloat16};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::uint16_t narrowed(DType dtype, float value) {
  std::uint16_t bits = 0;
  convert_from_float(dtype, &value, 1, &bits);
  return bits;
}

TEST(DType, NamesRoundTrip) {
  for (const DType dtype : kTypes) EXPECT_EQ(parse_dtype(name_of(dtype)), dtype);
  EXPECT_EQ(name_of(DType::kBFloat16), "bfloat16");
  EXPECT_EQ(parse_dtype("float64"), std::nullopt);
  EXPECT_EQ(parse_dtype(""), std::nullopt);
}

TEST(DType, SizesAreBytes) {
  EXPECT_EQ(size_of(DType::kFloat32), 4U);
  EXPECT_EQ(size_of(DType::kFloat16), 2U);
  EXPECT_EQ(size_of(DType::kBFloat16), 2U);
}

TEST(DType, KnownBitPatterns) {
  EXPECT_EQ(narrowed(DType::kFloat16, 1.0F), 0x3c00);
  EXPECT_EQ(narrowed(DType::kFloat16, -2.0F), 0xc000);
  EXPECT_EQ(narrowed(DType::kFloat16, 65504.0F), 0x7bff);
  EXPECT_EQ(narrowed(DType::kFloat16, 1e6F), 0x7c00);
  EXPECT_EQ(narrowed(DType::kFloat16, 0x1p-24F), 0x0001);
  EXPECT_EQ(narrowed(DType::kBFloat16, 1.0F), 0x3f80);
  EXPECT_EQ(narrowed(DType::kBFloat16, -kInfinity), 0xff80);
  EXPECT_EQ(narrowed(DType::kBFloat16, -0.0F), 0x8000);
}

TEST(DType, NarrowingRoundsHalfToEven) {
  EXPECT_EQ(narrowed(DType::kFloat16, 1.0F + 0x1p-11F), 0x3c00);
  EXPECT_EQ(narrowed(DType::kFloat16, 1.0F + 3 * 0x1p-11F), 0x3c02);
  EXPECT_EQ(narrowed(DType::kFloat16, 1.0F + 0x1p-11F + 0x1p-20F), 0x3c01);
  EXPECT_EQ(narrowed(DType::kBFloat16, 1.0F + 0x1p-8F), 0x3f80);
  EXPECT_EQ(narrowed(DType::kBFloat16, 1.0F + 3 * 0x1p-8F), 0x3f82);
  EXPECT_EQ(narrowed(DType::kBFloat16, 1.0F + 0x1p-8F + 0x1p-20F), 0x3f81);
}

// Every pattern of 16 bits is widened and narrowed back to itself; that of a NaN back to some NaN.
TEST(DType, EveryHalfPrecisionValueRoundTrips) {
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    for (std::uint32_t pattern = 0; pattern < 65536; ++pattern) {
      const auto bits = static_cast<std::uint16_t>(pattern);
      const float value = load_float(dtype, &bits, 0);
      if (std::isnan(value)) {
        const std::uint16_t back = narrowed(dtype, value);
        EXPECT_TRUE(std::isnan(load_float(dtype, &back, 0)));
      } else {
        ASSERT_EQ(narrowed(dtype, value), bits) << name_of(dtype);
      }
    }
  }
}

TEST(DType, Float32IsCopiedBitForBit) {
  const std::vector<float> values = {0.0F, -0.0F, 1e-45F, 3.4e38F, kInfinity};
  std::vector<float> stored(values.size());
  convert_from_float(DType::kFloat32, values.data(), values.size(), stored.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(stored[i]), std::bit_cast<std::uint32_t>(values[i]));
    EXPECT_EQ(load_float(DType::kFloat32, stored.data(), i), values[i]);
  }
}

}  // namespace
}  // namespace maskerade
