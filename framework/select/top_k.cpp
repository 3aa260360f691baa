#include "framework/select/top_k.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/select/top_k.cpp"
#include "hwy/foreach_target.h"
// After foreach_target: each target reads this once.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Bit j of the result: scores[j] >= threshold, for 64 scores.
HWY_INLINE std::uint64_t compare_word(const float* scores, float threshold) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  const auto bound = hn::Set(d, threshold);
  std::uint64_t word = 0;
  for (int j = 0; j < 64; j += lanes) {
    std::uint64_t bits = 0;
    hn::StoreMaskBits(d, hn::Ge(hn::LoadU(d, scores + j), bound),
                      reinterpret_cast<std::uint8_t*>(&bits));
    word |= bits << j;
  }
  return word;
}

constexpr std::int64_t kBlock = 4096;

// Appends the ascending indices i < n with scores[i] >= threshold and no bit in `excluded`
// (may be null).
void collect_at_least(const float* scores,
                      std::int64_t n,
                      const std::uint64_t* excluded,
                      float threshold,
                      std::vector<std::int32_t>& indices) {
  std::int32_t found_here[kBlock + 4];
  std::int32_t* end = found_here;
  for (std::int64_t first = 0; first < n; first += 64) {
    if (first % kBlock == 0) {
      indices.insert(indices.end(), found_here, end);
      end = found_here;
    }
    std::uint64_t word = 0;
    if (first + 64 <= n) {
      word = compare_word(scores + first, threshold);
    } else {
      for (std::int64_t j = 0; j < n - first; ++j) {
        word |= static_cast<std::uint64_t>(scores[first + j] >= threshold) << j;
      }
    }
    if (excluded != nullptr) word &= ~excluded[first / 64];
    // Four at a time without a branch: few words hold more when few scores pass.
    const int found = std::popcount(word);
    for (int done = 0; done < found; done += 4) {
      for (int j = 0; j < 4; ++j) {
        end[done + j] = static_cast<std::int32_t>(first + std::countr_zero(word));
        word &= word - 1;
      }
    }
    end += found;
  }
  indices.insert(indices.end(), found_here, end);
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(collect_at_least);

namespace {

// A quarter of the scores is sampled, up to so many.
constexpr std::int64_t kMostSamples = 1024;
// Below this many scores the sample costs more than it saves.
constexpr std::int64_t kSampledFrom = 512;

// An unsigned number that orders as the score does: NaN as -infinity, -0 as 0.
std::uint32_t order_of(float score) {
  const float plain = std::isnan(score) ? -std::numeric_limits<float>::infinity() : score + 0.0F;
  const auto bits = std::bit_cast<std::uint32_t>(plain);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}

float score_of(std::uint32_t order) {
  return std::bit_cast<float>((order >> 31) != 0 ? order & 0x7fffffffU : ~order);
}

bool is_excluded(std::span<const std::uint64_t> excluded, std::int64_t i) {
  return !excluded.empty() && ((excluded[static_cast<std::size_t>(i / 64)] >> (i % 64)) & 1U) != 0;
}

std::int64_t count_candidates(std::span<const std::uint64_t> excluded, std::int64_t n) {
  if (excluded.empty()) return n;
  std::int64_t left = n;
  for (std::int64_t first = 0; first < n; first += 64) {
    std::uint64_t word = excluded[static_cast<std::size_t>(first / 64)];
    if (n - first < 64) word &= (std::uint64_t{1} << (n - first)) - 1;
    left -= std::popcount(word);
  }
  return left;
}

void collect_candidates(std::span<const std::uint64_t> excluded,
                        std::int64_t n,
                        std::vector<std::int32_t>& indices) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (!is_excluded(excluded, i)) indices.push_back(static_cast<std::int32_t>(i));
  }
}

// A score that a little more than `count` of the candidates are likely to reach, from a sample at
// scattered places; -infinity when the sample does not tell.
float likely_threshold(std::span<const float> scores,
                       std::span<const std::uint64_t> excluded,
                       std::int64_t count,
                       std::int64_t candidates,
                       std::vector<std::uint32_t>& sample) {
  const auto n = static_cast<std::int64_t>(scores.size());
  sample.clear();
  std::uint32_t scatter = 1;
  const std::int64_t samples = std::min(kMostSamples, n / 4);
  for (std::int64_t s = 0; s < samples; ++s) {
    scatter = scatter * 1664525U + 1013904223U;
    const std::int64_t begin = s * n / samples;
    const std::int64_t width = (s + 1) * n / samples - begin;
    const std::int64_t i = begin + ((static_cast<std::int64_t>(scatter >> 8) * width) >> 24);
    if (!is_excluded(excluded, i)) sample.push_back(order_of(scores[static_cast<std::size_t>(i)]));
  }
  // The sample's rank of the count-th score is binomial: four standard deviations on the safe side.
  const double expected = static_cast<double>(sample.size()) * static_cast<double>(count) /
                          static_cast<double>(candidates);
  const auto rank = static_cast<std::size_t>(expected + 4 * std::sqrt(expected) + 4);
  if (rank >= sample.size()) return -std::numeric_limits<float>::infinity();
  const auto at = sample.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(sample.begin(), at, sample.end(), std::greater<>());
  return score_of(*at);
}

}  // namespace

void select_top_k(std::span<const float> scores,
                  std::span<const std::uint64_t> excluded,
                  std::int64_t count,
                  std::vector<std::int32_t>& indices) {
  indices.clear();
  const auto n = static_cast<std::int64_t>(scores.size());
  const std::int64_t candidates = count_candidates(excluded, n);
  count = std::min(count, candidates);
  if (count <= 0) return;
  if (count == candidates) {
    collect_candidates(excluded, n, indices);
    return;
  }

  // 1. The survivors, ascending by index: all candidates that reach a threshold.
  std::vector<std::uint32_t> orders;
  float threshold = -std::numeric_limits<float>::infinity();
  if (n >= kSampledFrom) threshold = likely_threshold(scores, excluded, count, candidates, orders);
  if (threshold > -std::numeric_limits<float>::infinity()) {
    HWY_DYNAMIC_DISPATCH(collect_at_least)
    (scores.data(), n, excluded.empty() ? nullptr : excluded.data(), threshold, indices);
  }
  if (static_cast<std::int64_t>(indices.size()) < count) {
    indices.clear();
    collect_candidates(excluded, n, indices);
  }

  // 2. The count-th highest score among them.
  orders.resize(indices.size());
  for (std::size_t i = 0; i < orders.size(); ++i) {
    orders[i] = order_of(scores[static_cast<std::size_t>(indices[i])]);
  }
  std::vector<std::uint32_t> ranked = orders;
  const auto last = ranked.begin() + static_cast<std::ptrdiff_t>(count - 1);
  std::nth_element(ranked.begin(), last, ranked.end(), std::greater<>());
  const std::uint32_t bound = *last;

  // 3. Those above it, and of its equals the first.
  std::int64_t equals = count - std::count_if(ranked.begin(), last, [bound](std::uint32_t order) {
                          return order > bound;
                        });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (orders[i] < bound) continue;
    if (orders[i] == bound && equals-- <= 0) continue;
    indices[kept++] = indices[i];
  }
  indices.resize(kept);
}

}  // namespace maskerade
#endif  // HWY_ONCE
