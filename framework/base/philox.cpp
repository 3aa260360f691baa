#include "framework/base/philox.hpp"

#include <cmath>
#include <numbers>

namespace maskerade {

std::array<std::uint32_t, 4> philox(const std::array<std::uint32_t, 4>& counter,
                                    const std::array<std::uint32_t, 2>& key) noexcept {
  std::array<std::uint32_t, 4> c = counter;
  std::array<std::uint32_t, 2> k = key;
  for (int round = 0; round < Philox::kRounds; ++round) {
    const std::uint64_t product0 = static_cast<std::uint64_t>(Philox::kMultiplier0) * c[0];
    const std::uint64_t product1 = static_cast<std::uint64_t>(Philox::kMultiplier1) * c[2];
    c = {static_cast<std::uint32_t>(product1 >> 32) ^ c[1] ^ k[0],
         static_cast<std::uint32_t>(product1),
         static_cast<std::uint32_t>(product0 >> 32) ^ c[3] ^ k[1],
         static_cast<std::uint32_t>(product0)};
    k[0] += Philox::kWeyl0;
    k[1] += Philox::kWeyl1;
  }
  return c;
}

// The seven parts of a RandomKey are folded by Philox itself into the 64-bit key and 32 bits of the
// counter; 96 counter bits remain for (row, column). Keys collide with probability 2^-96.
RandomField::RandomField(const RandomKey& key) noexcept {
  const auto seed_low = static_cast<std::uint32_t>(key.seed);
  const auto seed_high = static_cast<std::uint32_t>(key.seed >> 32);
  const auto first = philox({key.stream, key.layer, key.batch, key.head}, {seed_low, seed_high});
  const auto second = philox({key.purpose, first[2], first[3], 0}, {first[0], first[1]});
  key_ = {second[0], second[1]};
  salt_ = second[2];
}

RandomField::Row RandomField::of_row(std::uint64_t row) const noexcept {
  return {{static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row >> 32), salt_}, key_};
}

std::array<std::uint32_t, 4> RandomField::Row::block(std::uint32_t column) const noexcept {
  return philox({column, counter[0], counter[1], counter[2]}, key);
}

std::uint32_t RandomField::bits(std::uint64_t row, std::uint32_t column) const noexcept {
  return of_row(row).block(column)[0];
}

double RandomField::uniform(std::uint64_t row, std::uint32_t column) const noexcept {
  const auto words = of_row(row).block(column);
  const std::uint64_t bits53 = (static_cast<std::uint64_t>(words[0]) << 21) | (words[1] >> 11);
  return static_cast<double>(bits53) * 0x1p-53;
}

double RandomField::normal(std::uint64_t row, std::uint32_t column) const noexcept {
  const auto words = of_row(row).block(column);
  // (0, 1]: the logarithm of zero is avoided.
  const double radius = (static_cast<double>(words[0]) + 1.0) * 0x1p-32;
  const double angle = static_cast<double>(words[1]) * 0x1p-32;
  return std::sqrt(-2.0 * std::log(radius)) * std::cos(2.0 * std::numbers::pi * angle);
}

}  // namespace maskerade
