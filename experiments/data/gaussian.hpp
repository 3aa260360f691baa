#pragma once

#include <cstdint>
#include <span>

#include "framework/tensor/dtype.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {

// The tensors of a gaussian source; the value is the stream of their RandomKey.
enum class GaussianTensor : std::uint32_t { kQuery = 0, kKey = 1, kValue = 2 };

// Independent standard normal numbers [batch, heads, length, dim], narrowed to dtype. The number at
// (b, h, i, d) depends on (seed, tensor, b, h, i, d) and on nothing else.
Tensor gaussian_tensor(std::uint64_t seed,
                       GaussianTensor tensor,
                       DType dtype,
                       std::int64_t batch,
                       std::int64_t heads,
                       std::int64_t length,
                       std::int64_t dim);

// The listed rows of that tensor: [batch, heads, rows.size(), dim].
Tensor gaussian_rows(std::uint64_t seed,
                     GaussianTensor tensor,
                     DType dtype,
                     std::int64_t batch,
                     std::int64_t heads,
                     std::span<const std::int64_t> rows,
                     std::int64_t dim);

}  // namespace maskerade
