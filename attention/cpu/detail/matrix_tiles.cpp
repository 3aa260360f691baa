#include "attention/cpu/detail/matrix_tiles.hpp"

#include <cmath>
#include <numbers>

#include "attention/cpu/detail/matrix_products.hpp"

namespace maskerade::detail {
namespace {

// Before an operand's tiles: whether they are fit to be multiplied.
constexpr std::int64_t kHeadFloats = 16;

// Narrower heads fill no tile.
constexpr std::int64_t kNarrowest = 32;
constexpr std::int64_t kWidest = 256;

// Calls body(unit) with a matrix unit of this kind.
template <class Body>
void with_unit(MatrixUnit kind, const Body& body) {
  if (kind == MatrixUnit::kAmx) {
    AmxUnit unit;
    body(unit);
  } else {
    EmulatedUnit unit;
    body(unit);
  }
}

// The tiles of operands.
std::span<const float* const> behind_heads(std::span<const float* const> operands,
                                           const float** tiles) {
  for (std::size_t b = 0; b < operands.size(); ++b) tiles[b] = operands[b] + kHeadFloats;
  return {tiles, operands.size()};
}

}  // namespace

MatrixTiles::MatrixTiles(const AttentionInputs& inputs, MatrixUnit unit)
    : TileForm(
          kHeadFloats + pieces_of(inputs.k.dtype) * padded_dim(inputs.shape.head_dim) / 2 * 64,
          kHeadFloats + pieces_of(inputs.v.dtype) * padded_dim(inputs.shape.head_dim) / 2 * 64),
      inputs_(inputs),
      matrix_unit_(unit),
      unit_(static_cast<float>(inputs.scale * std::numbers::log2e)) {}

bool MatrixTiles::serve(const AttentionInputs& inputs, MatrixUnit unit) {
  constexpr float kMostScale = 0x1p20F;
  const float scale = static_cast<float>(inputs.scale);
  return serve(inputs.k.dtype, inputs.shape.head_dim, unit) && inputs.q.dtype == inputs.k.dtype &&
         scale > 1 / kMostScale && scale < kMostScale;
}

bool MatrixTiles::serve(DType, std::int64_t head_dim, MatrixUnit unit) {
  return unit != MatrixUnit::kNone && head_dim >= kNarrowest && head_dim <= kWidest;
}

std::int64_t MatrixTiles::query_floats() const {
  return kHeadFloats +
         pieces_of(inputs_.q.dtype) * kMaxRows * padded_dim(inputs_.shape.head_dim) / 2;
}

void MatrixTiles::load_queries(std::span<const void* const> rows, float* queries) const {
  queries[0] = make_queries(inputs_.q.dtype, rows, inputs_.shape.head_dim, queries + kHeadFloats);
}

void MatrixTiles::make_keys(std::span<const void* const> rows, float* keys) const {
  keys[0] = detail::make_keys(inputs_.k.dtype, rows, inputs_.shape.head_dim, keys + kHeadFloats);
}

void MatrixTiles::make_values(std::span<const void* const> rows, float* values) const {
  values[0] =
      detail::make_values(inputs_.v.dtype, rows, inputs_.shape.head_dim, values + kHeadFloats);
}

void MatrixTiles::score(const float* queries,
                        int block_rows,
                        int row,
                        int rows,
                        std::span<const float* const> keys,
                        float* scores) const {
  const std::int64_t depth_tiles = value_dim() / kTileDepth;
  const std::int64_t row_tiles = (block_rows + kTileRows - 1) / kTileRows;
  const LeftTiles tiles{
      .first = queries + kHeadFloats + row / kTileRows * depth_tiles * kTileFloats,
      .piece_floats = row_tiles * depth_tiles * kTileFloats,
      .row_tile_floats = depth_tiles * kTileFloats,
      .pieces = pieces_of(inputs_.q.dtype)};
  const float* blocks[kStepBlocks];
  with_unit(matrix_unit_, [&](auto& unit) {
    if (rows > kTileRows) {
      multiply_keys<2>(unit, tiles, behind_heads(keys, blocks), depth_tiles, scores);
    } else {
      multiply_keys<1>(unit, tiles, behind_heads(keys, blocks), depth_tiles, scores);
    }
  });
}

void MatrixTiles::add(const float* weights,
                      int rows,
                      std::span<const float* const> values,
                      const float* scale,
                      float* out) const {
  const std::int64_t dim = value_dim();
  for (std::int64_t r = 0; r < rows; ++r) {
    if (scale[r] != 1) widen_scaled(DType::kFloat32, out + r * dim, dim, scale[r], out + r * dim);
  }
  const float* blocks[kStepBlocks];
  const int pieces = pieces_of(inputs_.v.dtype);
  with_unit(matrix_unit_, [&](auto& unit) {
    if (rows > kTileRows) {
      add_weighted_values<2>(unit, weights, behind_heads(values, blocks), pieces, dim, out);
    } else {
      add_weighted_values<1>(unit, weights, behind_heads(values, blocks), pieces, dim, out);
    }
  });
}

}  // namespace maskerade::detail
