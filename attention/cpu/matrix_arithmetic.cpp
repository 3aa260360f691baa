#include "attention/cpu/matrix_arithmetic.hpp"

#include "attention/cpu/detail/matrix_products.hpp"
#include "attention/cpu/detail/matrix_tiles.hpp"

namespace maskerade {
namespace {

// Products of pieces that one product of numbers takes.
int products(int left_pieces, int right_pieces) {
  int count = 0;
  for (int right = 0; right < right_pieces; ++right) {
    count += detail::left_pieces_for(right, left_pieces);
  }
  return count;
}

}  // namespace

double matrix_products(DType dtype, std::int64_t head_dim) {
  if (detail::matrix_unit_in_use() == detail::MatrixUnit::kNone ||
      !detail::MatrixTiles::pay(dtype, head_dim)) {
    return 0;
  }
  const int pieces = detail::pieces_of(dtype);
  return (products(pieces, pieces) + products(detail::kWeightPieces, pieces)) / 2.0;
}

double run_matrix_unit(std::int64_t rounds) {
  const detail::MatrixUnit kind = detail::matrix_unit_in_use();
  if (kind != detail::MatrixUnit::kAmx) return 0;
  // Independent sums: more than the unit computes at once, so that none waits for the one before.
  constexpr std::int64_t kSums = 4;
  const detail::MatrixSession session(kind);
  detail::AmxUnit unit;
  unit.clear<0>();
  unit.clear<1>();
  unit.clear<2>();
  unit.clear<3>();
  unit.clear<4>();
  unit.clear<5>();
  for (std::int64_t round = 0; round < rounds; ++round) {
    unit.multiply_add<0, 4, 5>();
    unit.multiply_add<1, 4, 5>();
    unit.multiply_add<2, 4, 5>();
    unit.multiply_add<3, 4, 5>();
  }
  return 2.0 *
         static_cast<double>(rounds * kSums * detail::kMatrixTileFloats * detail::kMatrixTileDepth);
}

}  // namespace maskerade
