#include "experiments/rules/published_suites.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <vector>

#include "experiments/rules/random_problem.hpp"
#include "framework/base/philox.hpp"
#include "framework/mask/conversions.hpp"

namespace maskerade::rules {
namespace {

constexpr std::array kCases = {
    PublishedCase{"empty previous", {1, 1, 1, 4, 8, 16}, 2},
    PublishedCase{"empty previous", {2, 4, 4, 8, 16, 32}, 4},
    PublishedCase{"empty previous", {1, 8, 8, 16, 32, 64}, 8},
    PublishedCase{"empty previous", {4, 2, 2, 10, 20, 16}, 5},
    PublishedCase{"empty previous", {1, 1, 1, 5, 10, 8}, .3},
    PublishedCase{"empty previous", {2, 4, 4, 8, 20, 32}, .25},

    PublishedCase{"partial previous", {1, 1, 1, 4, 10, 16}, 3, PreviousMask::kPartial},
    PublishedCase{"partial previous", {2, 4, 4, 8, 20, 32}, 5, PreviousMask::kPartial},
    PublishedCase{"partial previous", {1, 8, 8, 12, 24, 64}, .2, PreviousMask::kPartial},
    PublishedCase{"partial previous", {3, 2, 2, 6, 15, 16}, 4, PreviousMask::kPartial},

    PublishedCase{"causal", {1, 1, 1, 4, 8, 16}, 2, PreviousMask::kNone, true},
    PublishedCase{"causal", {2, 4, 4, 8, 16, 32}, 4, PreviousMask::kNone, true},
    PublishedCase{"causal", {1, 2, 2, 10, 15, 16}, .3, PreviousMask::kNone, true},

    PublishedCase{"grouped queries", {1, 8, 2, 4, 8, 16}, 2},
    PublishedCase{"grouped queries", {2, 12, 3, 6, 12, 32}, 3},
    PublishedCase{"grouped queries", {1, 16, 4, 8, 16, 64}, .25},
    PublishedCase{"grouped queries", {1, 4, 1, 5, 10, 16}, 2},

    PublishedCase{"random previous", {1, 2, 2, 5, 12, 16}, 3, PreviousMask::kFifth},
    PublishedCase{"random previous", {2, 4, 4, 8, 20, 32}, 5, PreviousMask::kFifth},
    PublishedCase{"random previous", {1, 1, 1, 6, 15, 8}, .4, PreviousMask::kFifth},

    PublishedCase{"large batch", {8, 12, 12, 8, 16, 64}, 4},
    PublishedCase{"large batch", {16, 8, 8, 4, 12, 32}, 3},
    PublishedCase{"large batch", {4, 16, 4, 6, 20, 64}, .2},

    PublishedCase{"combined", {1, 4, 1, 8, 20, 16}, .15, PreviousMask::kFifth},
    PublishedCase{"combined", {4, 12, 4, 4, 16, 64}, 4, PreviousMask::kPartial},
    PublishedCase{"combined", {2, 6, 6, 10, 25, 32}, .2, PreviousMask::kNone, true},
    PublishedCase{"combined", {2, 4, 4, 8, 16, 32}, 3, PreviousMask::kPartial},

    PublishedCase{"edge", {1, 1, 1, 1, 4, 8}, 1},
    PublishedCase{"edge", {1, 1, 1, 2, 3, 8}, 1},
    PublishedCase{"edge", {1, 2, 2, 3, 8, 16}, 1},
    PublishedCase{"edge", {1, 1, 1, 4, 10, 8}, .1},
};

std::int64_t percent(double share) { return std::lround(share * 100); }

// Each key of each row where is_active(row, key) holds; rows count over batch entries and heads.
template <typename IsActive>
Mask mask_where(const Visibility& visibility, MaskExtent extent, IsActive&& is_active) {
  std::vector<float> weights;
  for (std::int64_t row = 0; row < extent.batch * extent.heads * visibility.query_len(); ++row) {
    for (std::int64_t key = 0; key < visibility.key_len(); ++key) {
      weights.push_back(is_active(row, key) ? 1.0F : 0.0F);
    }
  }
  return from_dense(visibility, extent, weights);
}

}  // namespace

std::string_view name_of(PreviousMask previous) noexcept {
  switch (previous) {
    case PreviousMask::kNone:
      return "none";
    case PreviousMask::kPartial:
      return "partial";
    case PreviousMask::kFifth:
      return "a random fifth";
    case PreviousMask::kMixed:
      return "mixed";
  }
  return "";
}

Mask previous_mask(PreviousMask previous,
                   const Visibility& visibility,
                   MaskExtent extent,
                   std::uint64_t seed) {
  const std::int64_t key_len = visibility.key_len();
  switch (previous) {
    case PreviousMask::kNone:
      break;
    case PreviousMask::kPartial:
      return mask_where(visibility, extent, [&](std::int64_t row, std::int64_t key) {
        return key < key_len / 4 || key == (key_len / 2 + row) % key_len;
      });
    case PreviousMask::kFifth: {
      const RandomField field({.seed = seed});
      return mask_where(visibility, extent, [&](std::int64_t row, std::int64_t key) {
        return field.bits(0, static_cast<std::uint32_t>(row * key_len + key)) % 5 == 0;
      });
    }
    case PreviousMask::kMixed:
      return random_mask(visibility, extent, {.tiles = 0.2, .keys = 0.2, .empty = 0.2},
                         static_cast<unsigned>(seed));
  }
  return Mask::empty(visibility, extent);
}

std::string PublishedCase::budget_text() const {
  return budget < 1 ? fmt::format("{}%", percent(budget)) : fmt::to_string(budget_keys());
}

std::int64_t PublishedCase::budget_keys() const {
  return budget < 1 ? shape.key_len * percent(budget) / 100 : std::lround(budget);
}

std::span<const PublishedCase> published_cases() noexcept { return kCases; }

}  // namespace maskerade::rules
