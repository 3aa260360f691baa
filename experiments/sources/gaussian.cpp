#include "experiments/sources/gaussian.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "framework/base/parallel.hpp"
#include "framework/base/philox.hpp"
#include "framework/tensor/owned_tensor.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kRowsPerItem = 256;

}  // namespace

Tensor gaussian_rows(std::uint64_t seed,
                     GaussianTensor tensor,
                     DType dtype,
                     std::int64_t batch,
                     std::int64_t heads,
                     std::span<const std::int64_t> rows,
                     std::int64_t dim,
                     double spread) {
  const auto row_count = static_cast<std::int64_t>(rows.size());
  const OwnedTensor target = new_tensor(dtype, batch, heads, row_count, dim);
  const std::int64_t pieces = (row_count + kRowsPerItem - 1) / kRowsPerItem;
  Threads::all_processors().for_each(batch * heads * pieces, [&](std::int64_t item, int) {
    const std::int64_t matrix = item / pieces;
    const std::int64_t first = item % pieces * kRowsPerItem;
    const std::int64_t last = std::min(first + kRowsPerItem, row_count);
    const RandomField field({.seed = seed,
                             .stream = static_cast<std::uint32_t>(tensor),
                             .batch = static_cast<std::uint32_t>(matrix / heads),
                             .head = static_cast<std::uint32_t>(matrix % heads)});
    const RandomField lengths({.seed = seed,
                               .stream = static_cast<std::uint32_t>(GaussianTensor::kKeyLength),
                               .batch = static_cast<std::uint32_t>(matrix / heads),
                               .head = static_cast<std::uint32_t>(matrix % heads)});
    std::vector<float> values(static_cast<std::size_t>(dim));
    for (std::int64_t i = first; i < last; ++i) {
      const auto row = static_cast<std::uint64_t>(rows[static_cast<std::size_t>(i)]);
      const double length = spread == 0 ? 1 : std::exp(spread * lengths.normal(row, 0));
      for (std::size_t d = 0; d < values.size(); ++d) {
        values[d] = static_cast<float>(length * field.normal(row, static_cast<std::uint32_t>(d)));
      }
      target.store_row(matrix / heads, matrix % heads, i, values.data());
    }
  });
  return target.finish();
}

Tensor gaussian_tensor(std::uint64_t seed,
                       GaussianTensor tensor,
                       DType dtype,
                       std::int64_t batch,
                       std::int64_t heads,
                       std::int64_t length,
                       std::int64_t dim,
                       double spread) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(length));
  std::iota(rows.begin(), rows.end(), 0);
  return gaussian_rows(seed, tensor, dtype, batch, heads, rows, dim, spread);
}

}  // namespace maskerade
