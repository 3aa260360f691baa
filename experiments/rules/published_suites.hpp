// The eight published stress suites of exact top-k on top of a previous mask.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "framework/mask/mask.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade::rules {

// What is active before a selection.
enum class PreviousMask {
  kNone,     // nothing
  kPartial,  // of each row the first quarter of the keys, and one more, further on as the row goes
  kFifth,    // each key with probability 20 %
  kMixed,    // tiles and rows that are full or empty, single keys beside them
};
std::string_view name_of(PreviousMask previous) noexcept;  // "none", "partial", ...

// Such a mask, bits alone; the same seed gives the same mask. Of kNone it is empty.
Mask previous_mask(PreviousMask previous,
                   const Visibility& visibility,
                   MaskExtent extent,
                   std::uint64_t seed);

// One case of a published suite.
struct PublishedCase {
  const char* suite;  // "empty previous", "grouped queries", ...
  AttentionShape shape;
  double budget;  // keys of a row; below 1 a share of key_len
  PreviousMask previous = PreviousMask::kNone;
  bool is_causal = false;

  // The budget as a user writes it: "4", "30%".
  std::string budget_text() const;
  // In keys, rounded down.
  std::int64_t budget_keys() const;
};
// All cases, suite after suite.
std::span<const PublishedCase> published_cases() noexcept;

}  // namespace maskerade::rules
