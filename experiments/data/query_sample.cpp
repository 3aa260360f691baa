#include "experiments/data/query_sample.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "framework/base/philox.hpp"
#include "framework/tensor/owned_tensor.hpp"

namespace maskerade {
namespace {

// The stream of the RandomKey of this draw; the tensors of generated sources have other streams.
constexpr std::uint32_t kStream = 0x7175;

}  // namespace

std::vector<std::int64_t> sample_query_rows(std::uint64_t seed,
                                            std::int64_t query_len,
                                            std::int64_t count) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(query_len));
  std::iota(rows.begin(), rows.end(), 0);
  if (count >= query_len) return rows;
  const RandomField field({.seed = seed, .stream = kStream});
  std::vector<std::pair<double, std::int64_t>> drawn;
  drawn.reserve(rows.size());
  for (const std::int64_t row : rows) {
    drawn.emplace_back(field.uniform(static_cast<std::uint64_t>(row), 0), row);
  }
  std::nth_element(drawn.begin(), drawn.begin() + count, drawn.end());
  rows.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = drawn[i].second;
  std::sort(rows.begin(), rows.end());
  return rows;
}

Tensor gather_rows(const TensorView& tensor, std::span<const std::int64_t> rows) {
  const OwnedTensor target = new_tensor(tensor.dtype, tensor.batch, tensor.heads,
                                        static_cast<std::int64_t>(rows.size()), tensor.dim);
  const std::size_t row_bytes = static_cast<std::size_t>(tensor.dim) * size_of(tensor.dtype);
  std::byte* next = target.memory.get();
  for (std::int64_t b = 0; b < tensor.batch; ++b) {
    for (std::int64_t h = 0; h < tensor.heads; ++h) {
      for (const std::int64_t row : rows) {
        std::memcpy(next, tensor.row(b, h, row), row_bytes);
        next += row_bytes;
      }
    }
  }
  return target.finish();
}

}  // namespace maskerade
