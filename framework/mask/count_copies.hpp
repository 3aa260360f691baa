#pragma once

#include <cstdint>

#include "framework/mask/mask.hpp"

namespace maskerade {

// What `copies` of a mask hold, one beside the other, as a mask that is broadcast holds for several
// heads or batch entries: the counts of one, so many times, and the percentiles of all their rows.
// copies >= 1.
MaskCounts count_copies(const Mask& mask, std::int64_t copies);

}  // namespace maskerade
