#include "framework/tensor/shape.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <utility>

#include "framework/base/error.hpp"

namespace maskerade {

std::optional<std::int64_t> count_elements(std::initializer_list<std::int64_t> sizes) noexcept {
  constexpr std::int64_t kLimit = std::int64_t{1} << 60;
  std::int64_t count = 1;
  for (const std::int64_t size : sizes) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count) || count >= kLimit) {
      return std::nullopt;
    }
  }
  return count;
}

void AttentionShape::validate() const {
  const std::array<std::pair<const char*, std::int64_t>, 6> sizes = {{{"batch", batch},
                                                                      {"query_heads", query_heads},
                                                                      {"kv_heads", kv_heads},
                                                                      {"query_len", query_len},
                                                                      {"key_len", key_len},
                                                                      {"head_dim", head_dim}}};
  for (const auto& [name, size] : sizes) {
    if (size < 1 || size > std::numeric_limits<std::int32_t>::max()) {
      throw ShapeError(fmt::format("{} is {}; it must be between 1 and 2147483647", name, size));
    }
  }
  if (query_heads % kv_heads != 0) {
    throw ShapeError(fmt::format("query_heads is {}, which is not a multiple of kv_heads, {}",
                                 query_heads, kv_heads));
  }
  if (!count_elements({batch, query_heads, query_len, head_dim}) ||
      !count_elements({batch, kv_heads, key_len, head_dim}) ||
      !count_elements({batch, query_heads, query_len, key_len})) {
    throw ShapeError(fmt::format(
        "the shape {} is too large: q, k and the mask must each have fewer than 2^60 elements",
        to_string()));
  }
}

std::string AttentionShape::to_string() const {
  return fmt::format("({}, {}, {}, {}, {}, {})", batch, query_heads, kv_heads, query_len, key_len,
                     head_dim);
}

}  // namespace maskerade
