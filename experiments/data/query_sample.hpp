#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Draws `count` of the query rows [0, query_len), uniformly and without replacement, and returns
// them sorted. They are the rows with the smallest (random(seed, row), row), so that a larger count
// keeps the rows of a smaller one. All rows when count >= query_len. Requires count >= 1.
std::vector<std::int64_t> sample_query_rows(std::uint64_t seed,
                                            std::int64_t query_len,
                                            std::int64_t count);

// A copy of the listed rows of every batch and head: [batch, heads, rows.size(), dim].
Tensor gather_rows(const TensorView& tensor, std::span<const std::int64_t> rows);

}  // namespace maskerade
