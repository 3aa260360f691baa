#pragma once

#include <cstdint>

#include "framework/sdk/anywhere.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade::local {

// Keys [begin, end); some may be none that the query sees.
struct Window {
  std::int64_t begin;
  std::int64_t end;
};

// The window of `keys` keys that ends at a position; with both_sides also as many that begin there,
// so that the position's own key is in the middle of 2 * keys - 1.
MASKERADE_SDK_ANYWHERE Window window_at(std::int64_t position, std::int64_t keys, bool both_sides) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;  // more than there are keys
  const std::int64_t width = keys < kMost ? keys : kMost;
  if (width <= 0) return {0, 0};
  return {position + 1 - width, position + (both_sides ? width : 1)};
}

// Adds each query's window on the device.
void select_on_device(const maskerade_cuda_call& call,
                      const maskerade_value& window,
                      bool both_sides);

}  // namespace maskerade::local
