#pragma once

#include <cstdint>
#include <span>

#include "framework/tensor/dtype.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {

// The random numbers of a gaussian source: q, k, v and the lengths of the keys. Each has a stream
// of its own in a RandomKey: the enumerator's value.
enum class GaussianTensor : std::uint32_t { kQuery = 0, kKey = 1, kValue = 2, kKeyLength = 3 };

// A tensor [batch, heads, length, dim] of independent standard normal numbers, narrowed to dtype.
// The number at (b, h, i, d) depends on (seed, tensor, b, h, i, d) and on nothing else. With a
// `spread` above 0, row (b, h, i) is multiplied by exp(spread * n), where n is a standard normal
// number that depends on (seed, b, h, i).
Tensor gaussian_tensor(std::uint64_t seed,
                       GaussianTensor tensor,
                       DType dtype,
                       std::int64_t batch,
                       std::int64_t heads,
                       std::int64_t length,
                       std::int64_t dim,
                       double spread = 0);

// The listed rows of that tensor: [batch, heads, rows.size(), dim].
Tensor gaussian_rows(std::uint64_t seed,
                     GaussianTensor tensor,
                     DType dtype,
                     std::int64_t batch,
                     std::int64_t heads,
                     std::span<const std::int64_t> rows,
                     std::int64_t dim,
                     double spread = 0);

}  // namespace maskerade
