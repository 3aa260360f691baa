#include "experiments/data/gaussian.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "framework/base/parallel.hpp"
#include "framework/base/philox.hpp"

namespace maskerade {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr std::int64_t kRowsPerItem = 256;

}  // namespace

Tensor gaussian_tensor(std::uint64_t seed,
                       GaussianTensor tensor,
                       DType dtype,
                       std::int64_t batch,
                       std::int64_t heads,
                       std::int64_t length,
                       std::int64_t dim) {
  const std::size_t row_bytes = static_cast<std::size_t>(dim) * size_of(dtype);
  const auto rows = static_cast<std::size_t>(batch * heads * length);
  std::shared_ptr<std::byte> memory(
      static_cast<std::byte*>(::operator new(rows* row_bytes, kAlignment)),
      [](std::byte* pointer) { ::operator delete(pointer, kAlignment); });

  const std::int64_t pieces = (length + kRowsPerItem - 1) / kRowsPerItem;
  Threads::all_processors().for_each(batch * heads * pieces, [&](std::int64_t item, int) {
    const std::int64_t matrix = item / pieces;
    const std::int64_t first = item % pieces * kRowsPerItem;
    const std::int64_t last = std::min(first + kRowsPerItem, length);
    const RandomField field({.seed = seed,
                             .stream = static_cast<std::uint32_t>(tensor),
                             .batch = static_cast<std::uint32_t>(matrix / heads),
                             .head = static_cast<std::uint32_t>(matrix % heads)});
    std::vector<float> row(static_cast<std::size_t>(dim));
    for (std::int64_t i = first; i < last; ++i) {
      for (std::size_t d = 0; d < row.size(); ++d) {
        row[d] = static_cast<float>(
            field.normal(static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(d)));
      }
      convert_from_float(dtype, row.data(), row.size(),
                         memory.get() + static_cast<std::size_t>(matrix * length + i) * row_bytes);
    }
  });

  const TensorView view{.data = memory.get(),
                        .dtype = dtype,
                        .batch = batch,
                        .heads = heads,
                        .length = length,
                        .dim = dim,
                        .batch_stride = heads * length * dim,
                        .head_stride = length * dim,
                        .row_stride = dim};
  return Tensor(view, std::move(memory));
}

}  // namespace maskerade
