#include "attention/cpu/detail/float_tiles.hpp"

#include "attention/cpu/detail/softmax_kernel.hpp"

namespace maskerade::detail {
namespace {

// Whether the vector kernels can read rows of v as they are stored.
bool in_place(const AttentionInputs& inputs, std::int64_t value_dim) {
  return inputs.v.dtype == DType::kFloat32 && value_dim == inputs.shape.head_dim;
}

}  // namespace

FloatTiles::FloatTiles(const AttentionInputs& inputs, std::int64_t value_dim)
    : TileForm(kPackedKeys * inputs.shape.head_dim,
               in_place(inputs, value_dim) ? 0 : kPackedKeys * value_dim),
      inputs_(inputs),
      value_dim_(value_dim) {}

void FloatTiles::make_keys(std::span<const void* const> rows, float* keys) const {
  pack_keys(inputs_.k.dtype, rows, inputs_.shape.head_dim, keys);
}

void FloatTiles::make_values(std::span<const void* const> rows, float* values) const {
  for (std::size_t j = 0; j < rows.size(); ++j) {
    widen_padded(inputs_.v.dtype, rows[j], inputs_.shape.head_dim, value_dim_,
                 values + static_cast<std::int64_t>(j) * value_dim_);
  }
}

}  // namespace maskerade::detail
