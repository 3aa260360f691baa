#include "attention/cpu/detail/matrix_unit.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>
#include <random>

#include "attention/cpu/matrix_arithmetic.hpp"

namespace maskerade::detail {
namespace {

using Tile = std::array<float, kMatrixTileFloats>;

template <class Unit>
Tile multiply(const Tile& left, const Tile& right, const Tile& sums) {
  Unit unit;
  unit.template load<0>(sums.data(), kMatrixTileRowBytes);
  unit.template load<4>(left.data(), kMatrixTileRowBytes);
  unit.template load<6>(right.data(), kMatrixTileRowBytes);
  unit.template multiply_add<0, 4, 6>();
  Tile result{};
  unit.template store<0>(result.data(), kMatrixTileRowBytes);
  return result;
}

// Pairs of bfloat16 numbers of exponents around `middle`, of either sign, and some zeros.
Tile random_pairs(std::mt19937& engine, unsigned middle) {
  Tile tile{};
  for (float& pair : tile) {
    std::uint32_t bits = 0;
    for (int half = 0; half < 2; ++half) {
      const std::uint32_t exponent = middle + engine() % 12;
      const std::uint32_t number =
          engine() % 16 == 0 ? 0 : (engine() & 0x807FU) | (exponent & 0xFFU) << 7;
      bits |= number << (16 * half);
    }
    pair = std::bit_cast<float>(bits);
  }
  return tile;
}

TEST(EmulatedUnit, SumsTheProductsOfPairs) {
  Tile left{};
  Tile right{};
  const auto pair = [](float first, float second) {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(first) >> 16 |
                                (std::bit_cast<std::uint32_t>(second) & 0xFFFF0000U));
  };
  left[3 * 16 + 5] = pair(2, 3);      // row 3, elements 10 and 11
  right[5 * 16 + 7] = pair(10, 100);  // the same of column 7
  Tile sums{};
  sums[3 * 16 + 7] = 0.5F;
  Tile expected = sums;
  expected[3 * 16 + 7] = 0.5F + 20 + 300;
  EXPECT_EQ(multiply<EmulatedUnit>(left, right, sums), expected);
}

TEST(EmulatedUnit, EqualsTheMachinesBitForBit) {
  if (!amx_is_usable()) GTEST_SKIP() << "this machine has no matrix tiles";
  const MatrixSession session(MatrixUnit::kAmx);
  std::mt19937 engine(5);
  // Around 1; where sums of products are denormal; where the factors are.
  for (const unsigned middle : {121U, 58U, 0U}) {
    for (int trial = 0; trial < 50; ++trial) {
      const Tile left = random_pairs(engine, middle);
      const Tile right = random_pairs(engine, middle == 0 ? 180 : middle);
      Tile sums{};
      if (trial % 2 == 0) {
        for (float& sum : sums) sum = static_cast<float>(engine() % 1000) * 1e-3F;
      }
      const Tile emulated = multiply<EmulatedUnit>(left, right, sums);
      const Tile machines = multiply<AmxUnit>(left, right, sums);
      EXPECT_EQ(std::memcmp(emulated.data(), machines.data(), sizeof(Tile)), 0) << middle;
    }
  }
}

TEST(MatrixArithmetic, CountsTheProductsOfPieces) {
  if (matrix_unit_in_use() == MatrixUnit::kNone) {
    EXPECT_EQ(matrix_products(DType::kFloat32, 64), 0);
    EXPECT_EQ(run_matrix_unit(1000), 0);
    return;
  }
  EXPECT_EQ(matrix_products(DType::kBFloat16, 64), (1 + 3) / 2.0);
  EXPECT_EQ(matrix_products(DType::kFloat16, 64), (4 + 5) / 2.0);
  EXPECT_EQ(matrix_products(DType::kFloat32, 64), (6 + 6) / 2.0);
  EXPECT_EQ(matrix_products(DType::kFloat32, 56), 0);
  EXPECT_EQ(matrix_products(DType::kBFloat16, 24), 0);
  EXPECT_EQ(run_matrix_unit(1000), 1000 * 4 * 16384.0);
}

}  // namespace
}  // namespace maskerade::detail
