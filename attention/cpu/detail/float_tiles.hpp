#pragma once

#include "attention/cpu/detail/shared_tiles.hpp"

namespace maskerade::detail {

// Keys packed, values widened to [64][value_dim]: what the vector kernels read.
class FloatTiles : public TileForm {
 public:
  // value_dim: elements of a widened row of values, at least head_dim. Float32 values that fill it
  // are read where they lie. inputs stay.
  FloatTiles(const AttentionInputs& inputs, std::int64_t value_dim);

  void make_keys(std::span<const void* const> rows, float* keys) const override;
  void make_values(std::span<const void* const> rows, float* values) const override;

 private:
  const AttentionInputs& inputs_;
  std::int64_t value_dim_;
};

}  // namespace maskerade::detail
