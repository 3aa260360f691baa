#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace maskerade {

// Which keys each query may see: always a prefix [0, end(i)). A small value; copies share
// positions.
class Visibility {
 public:
  // Every query sees every key. Query i stands at position key_len - query_len + i.
  static Visibility all(std::int64_t query_len, std::int64_t key_len);
  // Query i sees keys up to its position key_len - query_len + i. Throws ShapeError when
  // query_len > key_len.
  static Visibility causal(std::int64_t query_len, std::int64_t key_len);
  // Positions given for each query (sampled queries of a long prompt). Throws ShapeError when one
  // is negative or, for key_len keys, not below key_len.
  static Visibility at_positions(std::vector<std::int64_t> positions,
                                 std::int64_t key_len,
                                 bool causal);

  std::int64_t query_len() const noexcept { return static_cast<std::int64_t>(ends_->size()); }
  std::int64_t key_len() const noexcept { return key_len_; }
  bool is_causal() const noexcept { return causal_; }
  std::int64_t position(std::int64_t query) const noexcept {
    return (*positions_)[static_cast<std::size_t>(query)];
  }
  // One past the last visible key of a query; in [0, key_len].
  std::int64_t end(std::int64_t query) const noexcept {
    return (*ends_)[static_cast<std::size_t>(query)];
  }
  const std::vector<std::int64_t>& positions() const noexcept { return *positions_; }
  const std::vector<std::int64_t>& ends() const noexcept { return *ends_; }
  // Visible entries over all queries of one head.
  std::int64_t visible_entries() const noexcept;

  // Compares what is visible, not where it is stored.
  friend bool operator==(const Visibility& a, const Visibility& b) noexcept;

 private:
  Visibility(std::vector<std::int64_t> positions, std::int64_t key_len, bool causal);

  std::int64_t key_len_ = 0;
  bool causal_ = false;
  std::shared_ptr<const std::vector<std::int64_t>> positions_;
  std::shared_ptr<const std::vector<std::int64_t>> ends_;
};

}  // namespace maskerade
