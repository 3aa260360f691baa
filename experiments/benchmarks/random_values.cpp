#include "experiments/benchmarks/random_values.hpp"

#include "framework/tensor/owned_tensor.hpp"

namespace maskerade {

std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index) noexcept {
  std::uint64_t z = seed * 0xD1342543DE82EF95U + (index + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

double random_uniform(std::uint64_t seed, std::uint64_t index) noexcept {
  return static_cast<double>(random_bits(seed, index) >> 11) * 0x1p-53;
}

void fill_random(std::uint64_t seed, std::uint64_t first, float* values, std::size_t count) {
  // The sum of four uniform whole numbers in [0, 65536) has mean 131070 and variance
  // (65536^2 - 1) / 3, whose root is 37837.2.
  constexpr float kScale = 1.0F / 37837.2F;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t bits = random_bits(seed, first + i);
    const auto sum = static_cast<std::int32_t>((bits & 0xFFFFU) + ((bits >> 16) & 0xFFFFU) +
                                               ((bits >> 32) & 0xFFFFU) + (bits >> 48));
    values[i] = static_cast<float>(sum - 131070) * kScale;
  }
}

std::vector<float> random_floats(std::uint64_t seed, std::size_t count) {
  std::vector<float> values(count);
  fill_random(seed, 0, values.data(), count);
  return values;
}

Tensor random_tensor(std::uint64_t seed, DType dtype, const TensorExtent& extent) {
  OwnedTensor tensor =
      new_tensor(dtype, extent.batch, extent.heads, extent.length, extent.head_dim);
  std::vector<float> row(static_cast<std::size_t>(extent.head_dim));
  std::uint64_t first = 0;
  for (std::int64_t b = 0; b < extent.batch; ++b) {
    for (std::int64_t h = 0; h < extent.heads; ++h) {
      for (std::int64_t i = 0; i < extent.length; ++i) {
        fill_random(seed, first, row.data(), row.size());
        first += row.size();
        tensor.store_row(b, h, i, row.data());
      }
    }
  }
  return tensor.finish();
}

}  // namespace maskerade
