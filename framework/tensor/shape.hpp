#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

namespace maskerade {

// The product of the sizes of a tensor; nothing when a size is below 0 or the product is 2^60 or
// more. No memory holds so many elements, and of fewer the bytes can be counted in 64 bits.
std::optional<std::int64_t> count_elements(std::initializer_list<std::int64_t> sizes) noexcept;

// The shape of one attention problem. query_heads is a multiple of kv_heads (grouped-query
// attention); the query heads that read one kv head are its group.
struct AttentionShape {
  std::int64_t batch = 1;
  std::int64_t query_heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t query_len = 1;
  std::int64_t key_len = 1;
  std::int64_t head_dim = 1;

  std::int64_t group_size() const noexcept { return query_heads / kv_heads; }
  // The kv head that a query head reads.
  std::int64_t kv_head_of(std::int64_t query_head) const noexcept {
    return query_head / group_size();
  }
  // The number of rows: one for each (batch, query head, query).
  std::int64_t rows() const noexcept { return batch * query_heads * query_len; }

  // Throws ShapeError unless every size is at least 1 and below 2^31, query_heads is a multiple of
  // kv_heads, and q, k and a mask each have fewer than 2^60 elements.
  void validate() const;
  // The sizes as error messages show them: "(1, 8, 2, 2048, 2048, 64)" is batch, query_heads,
  // kv_heads, query_len, key_len, head_dim.
  std::string to_string() const;

  friend bool operator==(const AttentionShape&, const AttentionShape&) = default;
};

}  // namespace maskerade
