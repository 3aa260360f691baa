#pragma once

#include <cstdint>
#include <vector>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Values of mean 0 and variance 1, nearly normal (the sum of four uniform ones), a function of seed
// and index. Much faster to make than gaussian_tensor: a benchmark starts with gigabytes of them.
// values[i] is number first + i of the seed.
void fill_random(std::uint64_t seed, std::uint64_t first, float* values, std::size_t count);
std::vector<float> random_floats(std::uint64_t seed, std::size_t count);

// [batch, heads, length, dim], narrowed to dtype.
Tensor random_tensor(std::uint64_t seed,
                     DType dtype,
                     std::int64_t batch,
                     std::int64_t heads,
                     std::int64_t length,
                     std::int64_t dim);

// 64 random bits, a function of seed and index (splitmix64).
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index) noexcept;
// Uniform in [0, 1).
double random_uniform(std::uint64_t seed, std::uint64_t index) noexcept;

}  // namespace maskerade
