#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace maskerade {

// matches[j] = the number of equal bits of signature[words] and of signatures[j * words ...].
// [any thread]
void match_bits(std::span<const std::uint64_t> signature,
                const std::uint64_t* signatures,
                std::span<float> matches);

}  // namespace maskerade
