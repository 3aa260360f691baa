#include "framework/base/philox.hpp"

#include <cmath>
#include <numbers>

namespace maskerade {

std::array<std::uint32_t, 4> philox(const std::array<std::uint32_t, 4>& counter,
                                    const std::array<std::uint32_t, 2>& key) noexcept {
  const sdk::PhiloxWords random =
      sdk::philox({{counter[0], counter[1], counter[2], counter[3]}}, key[0], key[1]);
  return {random.words[0], random.words[1], random.words[2], random.words[3]};
}

RandomField::Row RandomField::of_row(std::uint64_t row) const noexcept {
  return {{static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row >> 32), salt_},
          {key0_, key1_}};
}

std::array<std::uint32_t, 4> RandomField::Row::block(std::uint32_t column) const noexcept {
  return philox({column, counter[0], counter[1], counter[2]}, key);
}

double RandomField::normal(std::uint64_t row, std::uint32_t column) const noexcept {
  const sdk::PhiloxWords random = block(row, column);
  // In (0, 1]: 0 is left out because it has no logarithm.
  const double radius = (static_cast<double>(random.words[0]) + 1.0) * 0x1p-32;
  const double angle = static_cast<double>(random.words[1]) * 0x1p-32;
  return std::sqrt(-2.0 * std::log(radius)) * std::cos(2.0 * std::numbers::pi * angle);
}

}  // namespace maskerade
