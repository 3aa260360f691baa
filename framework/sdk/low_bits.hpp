// The one way to make a word of leading bits, on the host and on the device.
#pragma once

#include <cstdint>

#include "framework/sdk/anywhere.hpp"

namespace maskerade::sdk {

// A word whose `count` lowest bits are set: no bit for count <= 0, every bit for count >= 64.
// [any thread]
MASKERADE_SDK_ANYWHERE constexpr std::uint64_t low_bits(std::int64_t count) noexcept {
  if (count >= 64) return ~std::uint64_t{0};
  return count <= 0 ? 0 : (std::uint64_t{1} << count) - 1;
}

}  // namespace maskerade::sdk
