#include "framework/mask/visibility.hpp"

#include <fmt/format.h>

#include <limits>
#include <numeric>
#include <utility>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

void check_length(const char* name, std::int64_t length) {
  if (length < 1 || length > std::numeric_limits<std::int32_t>::max()) {
    throw ShapeError(fmt::format("{} is {}; it must be between 1 and 2147483647", name, length));
  }
}

// The positions of queries that end with the last key: that of query i is key_len - query_len + i.
std::vector<std::int64_t> last_positions(std::int64_t query_len, std::int64_t key_len) {
  std::vector<std::int64_t> positions(static_cast<std::size_t>(query_len));
  std::iota(positions.begin(), positions.end(), key_len - query_len);
  return positions;
}

}  // namespace

Visibility::Visibility(std::vector<std::int64_t> positions, std::int64_t key_len, bool causal)
    : key_len_(key_len), causal_(causal) {
  std::vector<std::int64_t> ends(positions.size(), key_len);
  if (causal) {
    for (std::size_t i = 0; i < ends.size(); ++i) ends[i] = positions[i] + 1;
  }
  positions_ = std::make_shared<const std::vector<std::int64_t>>(std::move(positions));
  ends_ = std::make_shared<const std::vector<std::int64_t>>(std::move(ends));
}

Visibility Visibility::all(std::int64_t query_len, std::int64_t key_len) {
  check_length("query_len", query_len);
  check_length("key_len", key_len);
  return Visibility(last_positions(query_len, key_len), key_len, false);
}

Visibility Visibility::causal(std::int64_t query_len, std::int64_t key_len) {
  check_length("query_len", query_len);
  check_length("key_len", key_len);
  if (query_len > key_len) {
    throw ShapeError(fmt::format(
        "query_len is {}, more than key_len, {}; causal attention without query_positions needs "
        "query_len <= key_len",
        query_len, key_len));
  }
  return Visibility(last_positions(query_len, key_len), key_len, true);
}

Visibility Visibility::at_positions(std::vector<std::int64_t> positions,
                                    std::int64_t key_len,
                                    bool causal) {
  check_length("the number of query_positions", static_cast<std::int64_t>(positions.size()));
  check_length("key_len", key_len);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] < 0 || positions[i] >= key_len) {
      throw ShapeError(
          fmt::format("query_positions[{}] is {}; with key_len {} it must be between 0 "
                      "and {}",
                      i, positions[i], key_len, key_len - 1));
    }
  }
  return Visibility(std::move(positions), key_len, causal);
}

std::int64_t Visibility::visible_entries() const noexcept {
  return std::accumulate(ends_->begin(), ends_->end(), std::int64_t{0});
}

bool operator==(const Visibility& a, const Visibility& b) noexcept {
  return a.key_len_ == b.key_len_ && (a.ends_ == b.ends_ || *a.ends_ == *b.ends_);
}

}  // namespace maskerade
