#include "experiments/data/detail/check_tensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/tensor_files/tensor_layout.hpp"

namespace maskerade {
namespace {

std::string shape_text(const TensorView& tensor) {
  return fmt::format("[{}, {}, {}, {}]", tensor.batch, tensor.heads, tensor.length, tensor.dim);
}

// The index of the first of `count` numbers that is NaN or infinite, or -1. Such a number has ones
// in all bits of `exponent`.
template <typename Word>
std::int64_t find_not_finite(const void* data, std::int64_t count, Word exponent) {
  const auto* words = static_cast<const Word*>(data);
  constexpr std::int64_t kBlock = 4096;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, count);
    bool found = false;
    for (std::int64_t i = begin; i < end; ++i) found |= (words[i] & exponent) == exponent;
    if (!found) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if ((words[i] & exponent) == exponent) return i;
    }
  }
  return -1;
}

std::int64_t find_not_finite(const TensorView& tensor) {
  const std::int64_t count = tensor.batch * tensor.batch_stride;
  switch (tensor.dtype) {
    case DType::kFloat32:
      return find_not_finite<std::uint32_t>(tensor.data, count, 0x7F800000U);
    case DType::kFloat16:
      return find_not_finite<std::uint16_t>(tensor.data, count, 0x7C00U);
    case DType::kBFloat16:
      return find_not_finite<std::uint16_t>(tensor.data, count, 0x7F80U);
  }
  return -1;
}

}  // namespace

void check_layout(const StoredData& data) {
  const TensorLayout layout = data.k.layout;
  const TensorLayout other =
      layout == TensorLayout::kBhld ? TensorLayout::kBlhd : TensorLayout::kBhld;
  if (data.layout && *data.layout != layout) {
    throw DataError(
        data.k.file, data.k.name,
        fmt::format("__metadata__ \"layout\" says {}, but the axes are read as {}; write "
                    "layout: {} in the source, or correct the metadata",
                    name_of(*data.layout), name_of(layout), name_of(*data.layout)));
  }
  if (data.layout_is_stated || data.layout) return;
  const auto refuse = [&](const StoredTensor& tensor, const std::string& sign) {
    throw DataError(
        tensor.file, tensor.name,
        fmt::format("read as {}, the default layout, its shape {} has {} heads of {} tokens{}; "
                    "state in the source layout: {} where the axes are {}, or layout: {} where the "
                    "shape is right",
                    name_of(layout), shape_text(tensor.description), tensor.description.heads,
                    tensor.description.length, sign, name_of(other), axes_of(other),
                    name_of(layout)));
  };
  const TensorView& q = data.q.description;
  for (const StoredTensor* tensor : {&data.k, &data.v}) {
    if (tensor->description.heads >= 2 * tensor->description.length) refuse(*tensor, "");
  }
  const TensorView& k = data.k.description;
  if (q.length > 1 && q.heads >= 2 * q.length && q.heads == k.length && q.length % k.heads == 0) {
    refuse(data.q, fmt::format(", as many heads as {} has tokens", data.k.short_name()));
  }
}

void check_tensors_fit(const StoredTensor& q, const StoredTensor& k, const StoredTensor& v) {
  const TensorView& q_view = q.description;
  const TensorView& k_view = k.description;
  const TensorView& v_view = v.description;
  const std::string shapes = fmt::format("{} is {}, {} is {}", q.short_name(), shape_text(q_view),
                                         k.short_name(), shape_text(k_view));
  if (k_view.batch != v_view.batch || k_view.heads != v_view.heads ||
      k_view.length != v_view.length || k_view.dim != v_view.dim) {
    throw DataError(v.file, v.name,
                    fmt::format("its shape is {}, that of {} is {}; keys and values must have the "
                                "same shape",
                                shape_text(v_view), k.short_name(), shape_text(k_view)));
  }
  if (q_view.batch != k_view.batch || q_view.dim != k_view.dim) {
    throw DataError(
        q.file, q.name,
        fmt::format("{}; queries and keys must have the same batch and head_dim", shapes));
  }
  if (q_view.heads % k_view.heads != 0) {
    throw DataError(q.file, q.name,
                    fmt::format("{}; the query heads must be a multiple of the key heads", shapes));
  }
  for (const StoredTensor* other : {&k, &v}) {
    const DType dtype = other->description.dtype;
    if (dtype == q_view.dtype) continue;
    throw DataError(other->file, other->name,
                    fmt::format("its type is {}, that of {} is {}; all three must be the same",
                                name_of(dtype), q.short_name(), name_of(q_view.dtype)));
  }
}

std::optional<NotFinite> find_not_finite(const TensorView& tensor, TensorLayout layout) {
  const std::int64_t element = find_not_finite(tensor);
  if (element < 0) return std::nullopt;
  const bool heads_first = layout == TensorLayout::kBhld;
  const std::int64_t inner = heads_first ? tensor.length : tensor.heads;
  const std::int64_t outer = heads_first ? tensor.heads : tensor.length;
  const std::int64_t row = element / tensor.dim;
  const float value = load_float(tensor.dtype, tensor.data, static_cast<std::size_t>(element));
  return NotFinite{fmt::format("[{}, {}, {}, {}]", row / inner / outer, row / inner % outer,
                               row % inner, element % tensor.dim),
                   std::isnan(value) ? "NaN" : "infinite"};
}

}  // namespace maskerade
