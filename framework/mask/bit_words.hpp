#pragma once

#include <cstdint>

#include "framework/sdk/low_bits.hpp"

namespace maskerade::detail {

using sdk::low_bits;

// How many bits are set in words[0 .. count).
std::int64_t count_bits(const std::uint64_t* words, std::int64_t count);
// How many runs of neighbouring set bits words[0 .. count) have. A run ends with its word: one that
// goes on in the next word counts twice.
std::int64_t count_runs(const std::uint64_t* words, std::int64_t count);

}  // namespace maskerade::detail
