#include "attention/cpu/detail/row_places.hpp"

#include <numbers>

namespace maskerade::detail {

std::int64_t RowPlaces::output_row(const RowBlock& rows, std::int64_t r) const {
  const std::int64_t head = rows.first_head + r / rows.queries;
  const std::int64_t query = rows.first_query + r % rows.queries;
  return (rows.batch * inputs_.shape.query_heads + head) * inputs_.shape.query_len + query;
}

std::array<const void*, kMaxRows> RowPlaces::query_rows(const RowBlock& rows) const {
  std::array<const void*, kMaxRows> stored;
  for (std::int64_t r = 0; r < rows.rows(); ++r) {
    stored[static_cast<std::size_t>(r)] = inputs_.q.row(
        rows.batch, rows.first_head + r / rows.queries, rows.first_query + r % rows.queries);
  }
  return stored;
}

void RowPlaces::load_queries(const RowBlock& rows, float* queries) const {
  const std::int64_t dim = inputs_.shape.head_dim;
  const auto scale = static_cast<float>(inputs_.scale * std::numbers::log2e);
  const auto stored = query_rows(rows);
  for (std::int64_t r = 0; r < rows.rows(); ++r) {
    widen_scaled(inputs_.q.dtype, stored[static_cast<std::size_t>(r)], dim, scale,
                 queries + r * dim);
  }
}

std::span<const std::int32_t> RowPlaces::listed(const KeyBlock& block) const {
  return std::span(plan_.key_list)
      .subspan(static_cast<std::size_t>(block.list_offset), static_cast<std::size_t>(block.count));
}

std::array<const void*, kPackedKeys> RowPlaces::key_rows(const TensorView& tensor,
                                                         const RowBlock& rows,
                                                         const KeyBlock& block) const {
  std::array<const void*, kPackedKeys> stored;
  for (std::int64_t j = 0; j < block.count; ++j) {
    const std::int64_t key =
        block.list_offset < 0 ? block.first_key + j : listed(block)[static_cast<std::size_t>(j)];
    stored[static_cast<std::size_t>(j)] = tensor.row(rows.batch, rows.kv_head, key);
  }
  return stored;
}

ValueRows RowPlaces::values_in_place(const RowBlock& rows, const KeyBlock& block) const {
  const bool in_order = block.list_offset < 0;
  const void* first = inputs_.v.row(rows.batch, rows.kv_head, in_order ? block.first_key : 0);
  return {static_cast<const float*>(first), inputs_.v.row_stride,
          in_order ? nullptr : listed(block).data()};
}

}  // namespace maskerade::detail
