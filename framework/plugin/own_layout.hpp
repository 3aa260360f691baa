#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace maskerade {

// A copy in this program's layout of a struct of the ABI that a plugin made, whose struct_size says
// struct_size bytes. Fields that an older plugin's struct lacks are zero; those that a newer one
// has beyond this program's are left out.
template <typename Struct>
Struct in_own_layout(const void* source, std::uint32_t struct_size) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  Struct own{};
  std::memcpy(&own, source, std::min<std::size_t>(struct_size, sizeof(own)));
  return own;
}

}  // namespace maskerade
