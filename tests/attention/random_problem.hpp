#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "framework/mask/conversions.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade {

// Tensors of normal values, and the inputs that view them.
struct RandomProblem {
  RandomProblem(const AttentionShape& shape, DType dtype, bool causal, unsigned seed)
      : q(random_tensor(dtype, shape, shape.query_heads, shape.query_len, seed)),
        k(random_tensor(dtype, shape, shape.kv_heads, shape.key_len, seed + 1)),
        v(random_tensor(dtype, shape, shape.kv_heads, shape.key_len, seed + 2)),
        inputs{.shape = shape,
               .q = q.view(),
               .k = k.view(),
               .v = v.view(),
               .scale = 1 / std::sqrt(static_cast<float>(shape.head_dim)),
               .visibility = causal ? Visibility::causal(shape.query_len, shape.key_len)
                                    : Visibility::all(shape.query_len, shape.key_len)} {}

  static Tensor random_tensor(DType dtype,
                              const AttentionShape& shape,
                              std::int64_t heads,
                              std::int64_t length,
                              unsigned seed) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(
        static_cast<std::size_t>(shape.batch * heads * length * shape.head_dim));
    for (float& value : values) value = normal(engine);
    return Tensor::from_floats(dtype, shape.batch, heads, length, shape.head_dim, values.data());
  }

  Tensor q;
  Tensor k;
  Tensor v;
  AttentionInputs inputs;
};

// A mask of whole tiles, single keys and empty rows: each tile of 64 keys is full with probability
// tiles; elsewhere each key is active with probability keys; each row is empty with probability
// empty. With sampled, half of the single keys have a probability below 1.
struct RandomMaskOptions {
  double tiles = 0.2;
  double keys = 0.1;
  double empty = 0.1;
  bool sampled = false;
};
inline Mask random_mask(const Visibility& visibility,
                        MaskExtent extent,
                        const RandomMaskOptions& options,
                        unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform;
  const std::int64_t rows = extent.batch * extent.heads * visibility.query_len();
  const std::int64_t tiles = (visibility.key_len() + 63) / 64;
  std::vector<float> weights(static_cast<std::size_t>(rows * visibility.key_len()));
  std::vector<bool> full_tile(static_cast<std::size_t>(tiles));
  for (std::int64_t r = 0; r < rows; ++r) {
    if (r % 64 == 0) {
      for (std::size_t t = 0; t < full_tile.size(); ++t)
        full_tile[t] = uniform(engine) < options.tiles;
    }
    if (uniform(engine) < options.empty) continue;
    for (std::int64_t key = 0; key < visibility.key_len(); ++key) {
      float& weight = weights[static_cast<std::size_t>(r * visibility.key_len() + key)];
      if (full_tile[static_cast<std::size_t>(key / 64)]) {
        weight = 1;
      } else if (uniform(engine) < options.keys) {
        const bool below_one = options.sampled && uniform(engine) < 0.5;
        weight = below_one ? static_cast<float>(0.02 + 0.9 * uniform(engine)) : 1.0F;
      }
    }
  }
  return from_dense(visibility, extent, weights);
}

}  // namespace maskerade
