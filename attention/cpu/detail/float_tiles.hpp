#pragma once

#include "attention/cpu/detail/shared_tiles.hpp"

namespace maskerade::detail {

// The form of a tile that the vector kernels read, in float32: keys as pack_keys() lays them out,
// values as rows [keys][value_dim], 0 from head_dim on.
class FloatTiles : public TileForm {
 public:
  // value_dim: floats of a row of values, at least head_dim. Where v is float32 and value_dim is
  // head_dim, values are read in place and value_floats() is 0. Keeps a reference to the inputs.
  FloatTiles(const AttentionInputs& inputs, std::int64_t value_dim);

  void make_keys(std::span<const void* const> rows, float* keys) const override;
  void make_values(std::span<const void* const> rows, float* values) const override;

 private:
  const AttentionInputs& inputs_;
  std::int64_t value_dim_;
};

}  // namespace maskerade::detail
