#pragma once

#include <cstdint>
#include <string>

namespace maskerade {

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
  std::int64_t kv_head_of(std::int64_t query_head) const noexcept {
    return query_head / group_size();
  }
  std::int64_t rows() const noexcept { return batch * query_heads * query_len; }

  // Throws ShapeError unless every size is at least 1, key_len < 2^31 and query_heads is a multiple
  // of kv_heads.
  void validate() const;
  // "(1, 8, 2, 2048, 2048, 64)": batch, query_heads, kv_heads, query_len, key_len, head_dim.
  std::string to_string() const;

  friend bool operator==(const AttentionShape&, const AttentionShape&) = default;
};

}  // namespace maskerade
