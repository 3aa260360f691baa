#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace maskerade {

// Sets matches[j] to the number of bits in which `signature`, of n words, equals signature j, which
// is signatures[j * n .. (j + 1) * n). [any thread]
void match_bits(std::span<const std::uint64_t> signature,
                const std::uint64_t* signatures,
                std::span<float> matches);

}  // namespace maskerade
