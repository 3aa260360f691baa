#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace maskerade {

// Which keys are visible to each query: for query i always a range [0, end(i)). The same for every
// batch and head. A small value; copies share their memory, which never changes.
class Visibility {
 public:
  // Every key is visible to every query. The position of query i is key_len - query_len + i.
  static Visibility all(std::int64_t query_len, std::int64_t key_len);
  // Query i sees the keys up to its position, key_len - query_len + i, which it includes. Throws
  // ShapeError when query_len > key_len. All three throw it when a length is not between 1 and
  // 2^31 - 1.
  static Visibility causal(std::int64_t query_len, std::int64_t key_len);
  // Queries at given positions, such as some queries of a long prompt; each sees the keys up to its
  // position if causal, else every key. Throws ShapeError when a position is not in [0, key_len).
  static Visibility at_positions(std::vector<std::int64_t> positions,
                                 std::int64_t key_len,
                                 bool causal);

  std::int64_t query_len() const noexcept { return static_cast<std::int64_t>(ends_->size()); }
  std::int64_t key_len() const noexcept { return key_len_; }
  bool is_causal() const noexcept { return causal_; }
  // The absolute position of a query.
  std::int64_t position(std::int64_t query) const noexcept {
    return (*positions_)[static_cast<std::size_t>(query)];
  }
  // One past the last key that a query sees, at most key_len.
  std::int64_t end(std::int64_t query) const noexcept {
    return (*ends_)[static_cast<std::size_t>(query)];
  }
  const std::vector<std::int64_t>& positions() const noexcept {
    return *positions_;
  }                                                                          // [query_len]
  const std::vector<std::int64_t>& ends() const noexcept { return *ends_; }  // [query_len]
  // The number of visible entries of one head, over all its queries.
  std::int64_t visible_entries() const noexcept;

  // Whether the same keys are visible to the same queries. Positions may differ.
  friend bool operator==(const Visibility& a, const Visibility& b) noexcept;

 private:
  Visibility(std::vector<std::int64_t> positions, std::int64_t key_len, bool causal);

  std::int64_t key_len_ = 0;
  bool causal_ = false;
  std::shared_ptr<const std::vector<std::int64_t>> positions_;
  std::shared_ptr<const std::vector<std::int64_t>> ends_;
};

}  // namespace maskerade
