#pragma once

#include <cstdint>
#include <vector>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Nearly normal values of mean 0 and variance 1: sums of four uniform numbers. A value depends on
// seed and index alone. Rationale: a benchmark starts with gigabytes of them, for which
// gaussian_tensor() takes much longer.
//
// fill_random() writes the values with the indices first to first + count - 1; random_floats()
// returns those with the indices 0 to count - 1.
void fill_random(std::uint64_t seed, std::uint64_t first, float* values, std::size_t count);
std::vector<float> random_floats(std::uint64_t seed, std::size_t count);

// The extent of a tensor [batch, heads, length, head_dim].
struct TensorExtent {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t length = 1;
  std::int64_t head_dim = 1;
};
// A tensor of these values, in order from index 0, rounded to dtype.
Tensor random_tensor(std::uint64_t seed, DType dtype, const TensorExtent& extent);

// 64 random bits that depend on seed and index alone (splitmix64).
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index) noexcept;
// A uniform number in [0, 1) that depends on seed and index alone.
double random_uniform(std::uint64_t seed, std::uint64_t index) noexcept;

}  // namespace maskerade
