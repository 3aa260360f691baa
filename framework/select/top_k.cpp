#include "framework/select/top_k.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <type_traits>

#include "framework/sdk/low_bits.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/select/top_k.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for every instruction set.
#include "hwy/highway.h"

#ifndef MASKERADE_SELECT_TOP_K_ONCE
#define MASKERADE_SELECT_TOP_K_ONCE
namespace maskerade {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
// How many elements past the end of a buffer may be read and overwritten.
constexpr std::int64_t kSlack = 64;

#if defined(__x86_64__)
// Row b lists the numbers of the set bits of the byte b, ascending: the lanes that compress()
// keeps.
constexpr auto kSetBits = [] {
  std::array<std::array<std::uint8_t, 8>, 256> rows{};
  for (unsigned bits = 0; bits < 256; ++bits) {
    std::size_t found = 0;
    for (std::uint8_t bit = 0; bit < 8; ++bit) {
      if (((bits >> bit) & 1U) != 0) rows[bits][found++] = bit;
    }
  }
  return rows;
}();
#endif

// A value and its rank among others.
struct RankedValue {
  float value;
  std::int64_t above;  // how many values are higher
  std::int64_t equal;  // how many are equal, itself included
};

// The scores that may be selected: those of n that are not excluded.
struct Candidates {
  const std::uint64_t* excluded;  // [(n + 63) / 64] bit i % 64 of word i / 64; null excludes none
  std::int64_t n;

  // Bit j: score 64 * word + j is a candidate.
  std::uint64_t operator()(std::int64_t word) const {
    const std::uint64_t valid = sdk::low_bits(n - word * 64);
    return excluded == nullptr ? valid : valid & ~excluded[word];
  }
};

}  // namespace
}  // namespace maskerade
#endif

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;
using VectorMask = hn::Mask<Tag>;
constexpr int kWidth = static_cast<int>(hn::MaxLanes(Tag()));
constexpr std::uint64_t kAllLanes = sdk::low_bits(kWidth);

// A vector mask as bits: bit i is lane i.
HWY_INLINE std::uint64_t bits_of(VectorMask mask) {
  std::conditional_t<(kWidth > 8), std::uint16_t, std::uint8_t> bits = 0;
  hn::StoreMaskBits(Tag(), mask, reinterpret_cast<std::uint8_t*>(&bits));
  return bits;
}

// Moves the lanes of v whose bit is set to the front, in their order. The other lanes of the result
// are not defined.
HWY_INLINE Vector compress(Vector v, std::uint64_t bits) {
#if HWY_TARGET == HWY_AVX2
  // Rationale: Highway 1.0.3 compresses by a table in a local array, which GCC 12 copies at each
  // call.
  const hn::RebindToSigned<Tag> indices;
  const hn::Rebind<std::uint8_t, Tag> bytes;
  const auto lanes = hn::PromoteTo(indices, hn::LoadU(bytes, kSetBits[bits].data()));
  return hn::TableLookupLanes(v, hn::IndicesFromVec(Tag(), lanes));
#else
  const auto narrow = static_cast<std::uint16_t>(bits);
  return hn::CompressBits(v, reinterpret_cast<const std::uint8_t*>(&narrow));
#endif
}

// Tests 64 scores, a vector at a time. Bit j of the result: score j passes.
template <class Test>
HWY_INLINE std::uint64_t test_word(const float* scores, const Test& test) {
  std::uint64_t word = 0;
#pragma GCC unroll 8
  for (int j = 0; j < 64; j += kWidth) {
    word |= bits_of(test(hn::LoadU(Tag(), scores + j))) << j;
  }
  return word;
}

// Calls visit(word, scores + 64 * word) for every 64 scores. The last ones come as a copy of 64
// scores that is filled up with zeros.
template <class Visit>
HWY_INLINE void for_each_word(const float* scores, std::int64_t n, const Visit& visit) {
  const std::int64_t whole = n / 64;
  for (std::int64_t word = 0; word < whole; ++word) visit(word, scores + word * 64);
  if (whole * 64 == n) return;
  HWY_ALIGN std::array<float, 64> last{};
  std::copy(scores + whole * 64, scores + n, last.begin());
  visit(whole, last.data());
}

// Appends the scores whose bit in `word` is set, in order, at `end`, and returns the new end. May
// overwrite up to kSlack - 1 floats past it.
HWY_INLINE float* append(const float* scores, std::uint64_t word, float* end) {
  const int found = std::popcount(word);
  if (found <= 64 / kWidth * 2) {
    // Four scores at a time, without a branch for each. Once the word has no bit left, scores[0] is
    // written, which is overwritten later.
    for (int done = 0; done < found; done += 4) {
      for (int j = 0; j < 4; ++j) {
        end[done + j] = scores[std::countr_zero(word) & 63];
        word &= word - 1;
      }
    }
    return end + found;
  }
  const Tag d;
  for (int j = 0; j < 64; j += kWidth) {
    const std::uint64_t bits = (word >> j) & kAllLanes;
    const Vector scored = hn::LoadU(d, scores + j);
    hn::StoreU(compress(scored, bits), d, end);
    end += std::popcount(bits);
  }
  return end;
}

// Writes the scores of the candidates that are not below the threshold to `values` and returns how
// many they are. The threshold is above -infinity.
std::int64_t collect_reaching(const float* scores,
                              const Candidates& candidates,
                              float threshold,
                              float* values) {
  const Vector bound = hn::Set(Tag(), threshold);
  float* end = values;
  for_each_word(scores, candidates.n, [&](std::int64_t word, const float* at) {
    const std::uint64_t reaching =
        candidates(word) & test_word(at, [&](Vector v) { return hn::Ge(v, bound); });
    if (reaching != 0) end = append(at, reaching, end);
  });
  return end - values;
}

// Writes the scores of all candidates to `values`, NaN as -infinity, and returns how many they are.
std::int64_t collect_all(const float* scores, const Candidates& candidates, float* values) {
  const Tag d;
  const Vector lowest = hn::Set(d, kLowest);
  float* end = values;
  for_each_word(scores, candidates.n, [&](std::int64_t word, const float* at) {
    float* begin = end;
    end = append(at, candidates(word), end);
    for (; begin < end; begin += kWidth) {
      const Vector v = hn::LoadU(d, begin);
      hn::StoreU(hn::IfThenElse(hn::Eq(v, v), v, lowest), d, begin);
    }
  });
  return end - values;
}

// How many of values[0 .. n) pass the test.
template <class Test>
HWY_INLINE std::int64_t count_passing(const float* values, std::int64_t n, const Test& test) {
  const Tag d;
  std::int64_t count = 0;
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    count += static_cast<std::int64_t>(hn::CountTrue(d, test(hn::LoadU(d, values + i))));
  }
  if (i < n) {
    const std::uint64_t valid = sdk::low_bits(n - i);
    count += std::popcount(bits_of(test(hn::LoadU(d, values + i))) & valid);
  }
  return count;
}

// Moves those of values[0 .. n) that pass the test to the front, in their order.
template <class Test>
HWY_INLINE void keep_passing(float* values, std::int64_t n, const Test& test) {
  const Tag d;
  float* end = values;
  for (std::int64_t i = 0; i < n; i += kWidth) {
    const Vector v = hn::LoadU(d, values + i);
    const std::uint64_t passing = bits_of(test(v));
    // This ends at or before what was just read, so no value is overwritten before it is read.
    hn::StoreU(compress(v, passing), d, end);
    end += std::popcount(passing);
  }
}

// Finds the rank-th highest of values[0 .. n) by quick-select. 1 <= rank <= n, and no value is NaN.
// Changes the values, and may read and overwrite up to kSlack floats past them.
RankedValue find_rank(float* values, std::int64_t n, std::int64_t rank) {
  const Tag d;
  std::int64_t above_all = 0;  // how many values were dropped because they are higher
  for (int round = 0;; ++round) {
    float pivot = 0;
    if (round < 32) {
      const float a = values[n / 4];
      const float b = values[n / 2];
      const float c = values[n - 1 - n / 4];
      pivot = std::max(std::min(a, b), std::min(std::max(a, b), c));
    } else {
      // After so many rounds the medians of three are bad pivots for this order of values;
      // nth_element is never slow.
      std::nth_element(values, values + (rank - 1), values + n, std::greater<>());
      pivot = values[rank - 1];
    }
    const Vector bound = hn::Set(d, pivot);
    const auto is_above = [&](Vector v) { return hn::Gt(v, bound); };
    const auto is_below = [&](Vector v) { return hn::Lt(v, bound); };
    const std::int64_t above = count_passing(values, n, is_above);
    if (rank <= above) {
      keep_passing(values, n, is_above);
      n = above;
      continue;
    }
    const std::int64_t below = count_passing(values, n, is_below);
    if (rank <= n - below) return {pivot, above_all + above, n - below - above};
    keep_passing(values, n, is_below);
    above_all += n - below;
    rank -= n - below;
    n = below;
  }
}

// Marks in bits[] the candidates above the bound and the first `ties` of those that are equal to
// it.
void mark(const float* scores,
          const Candidates& candidates,
          RankedValue bound,
          std::int64_t ties,
          std::uint64_t* bits) {
  const Vector value = hn::Set(Tag(), bound.value);
  const auto reaches = [&](Vector v) { return hn::Ge(v, value); };
  if (ties == bound.equal && bound.value > kLowest) {
    for_each_word(scores, candidates.n, [&](std::int64_t word, const float* at) {
      bits[word] = candidates(word) & test_word(at, reaches);
    });
    return;
  }
  for_each_word(scores, candidates.n, [&](std::int64_t word, const float* at) {
    const std::uint64_t allowed = candidates(word);
    const std::uint64_t above = allowed & test_word(at, [&](Vector v) { return hn::Gt(v, value); });
    std::uint64_t equal = allowed & ~above;
    if (bound.value > kLowest) equal &= test_word(at, reaches);
    while (std::popcount(equal) > ties) equal ^= std::bit_floor(equal);
    ties -= std::popcount(equal);
    bits[word] = above | equal;
  });
}

std::int64_t count_candidates(const Candidates& candidates) {
  if (candidates.excluded == nullptr) return candidates.n;
  std::int64_t count = 0;
  for (std::int64_t word = 0; word * 64 < candidates.n; ++word) {
    count += std::popcount(candidates(word));
  }
  return count;
}

// Lists the indices of the set bits of words[0 .. count), ascending, and returns how many they are.
// May overwrite up to kSlack entries past them.
std::int64_t list_bits(const std::uint64_t* words, std::int64_t count, std::int32_t* indices) {
  std::int32_t* end = indices;
  for (std::int64_t w = 0; w < count; ++w) {
    std::uint64_t word = words[w];
    const int found = std::popcount(word);
    for (int done = 0; done < found; done += 4) {
      for (int j = 0; j < 4; ++j) {
        end[done + j] = static_cast<std::int32_t>(w * 64) + std::countr_zero(word);
        word &= word - 1;
      }
    }
    end += found;
  }
  return end - indices;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(collect_reaching);
HWY_EXPORT(collect_all);
HWY_EXPORT(find_rank);
HWY_EXPORT(mark);
HWY_EXPORT(count_candidates);
HWY_EXPORT(list_bits);

namespace {

// One score of every kSampleStep is sampled, but not fewer than kFewestSamples or more than
// kMostSamples.
constexpr std::int64_t kSampleStep = 64;
constexpr std::int64_t kFewestSamples = 64;
constexpr std::int64_t kMostSamples = 1024;
// With fewer scores than this, a sample costs more than it saves.
constexpr std::int64_t kSampledFrom = 512;

// Guesses a threshold that a few more than `count` of the `total` candidates probably reach, from a
// sample of scores at scattered indices. -infinity when the sample is too small to tell.
float likely_threshold(const float* scores,
                       const Candidates& candidates,
                       std::int64_t count,
                       std::int64_t total) {
  const std::int64_t wanted = std::clamp(candidates.n / kSampleStep, kFewestSamples, kMostSamples);
  const std::int64_t width = candidates.n / wanted;
  std::array<float, kMostSamples + kSlack> sample;
  std::int64_t samples = 0;
  for (std::int64_t s = 0; s < wanted; ++s) {
    const std::uint32_t scatter = static_cast<std::uint32_t>(s) * 2654435769U;
    const std::int64_t i =
        s * width + static_cast<std::int64_t>((scatter * std::uint64_t(width)) >> 32);
    const float score = scores[i];
    sample[static_cast<std::size_t>(samples)] = std::isnan(score) ? kLowest : score;
    samples +=
        candidates.excluded == nullptr || ((candidates.excluded[i / 64] >> (i % 64)) & 1U) == 0;
  }
  // The rank that the count-th score has in the sample follows a binomial distribution: add three
  // standard deviations to be on the safe side.
  const double expected =
      static_cast<double>(samples) * static_cast<double>(count) / static_cast<double>(total);
  const auto rank = static_cast<std::int64_t>(expected + 3 * std::sqrt(expected) + 4);
  if (rank > samples) return kLowest;
  return HWY_DYNAMIC_DISPATCH(find_rank)(sample.data(), samples, rank).value;
}

}  // namespace

std::span<const std::uint64_t> TopK::select_bits(std::span<const float> scores,
                                                 std::span<const std::uint64_t> excluded,
                                                 std::int64_t count) {
  const auto n = static_cast<std::int64_t>(scores.size());
  const Candidates candidates{excluded.empty() ? nullptr : excluded.data(), n};
  bits_.resize(static_cast<std::size_t>((n + 63) / 64));
  const std::int64_t total = HWY_DYNAMIC_DISPATCH(count_candidates)(candidates);
  if (count <= 0 || count >= total) {
    for (std::size_t word = 0; word < bits_.size(); ++word) {
      bits_[word] = count <= 0 ? 0 : candidates(static_cast<std::int64_t>(word));
    }
    return bits_;
  }
  values_.resize(std::max(values_.size(), static_cast<std::size_t>(n + kSlack)));
  std::int64_t collected = 0;
  const float threshold =
      n < kSampledFrom ? kLowest : likely_threshold(scores.data(), candidates, count, total);
  if (threshold > kLowest) {
    collected = HWY_DYNAMIC_DISPATCH(collect_reaching)(scores.data(), candidates, threshold,
                                                       values_.data());
  }
  if (collected < count) {
    collected = HWY_DYNAMIC_DISPATCH(collect_all)(scores.data(), candidates, values_.data());
  }
  const RankedValue bound = HWY_DYNAMIC_DISPATCH(find_rank)(values_.data(), collected, count);
  HWY_DYNAMIC_DISPATCH(mark)
  (scores.data(), candidates, bound, count - bound.above, bits_.data());
  return bits_;
}

std::span<const std::int32_t> TopK::select(std::span<const float> scores,
                                           std::span<const std::uint64_t> excluded,
                                           std::int64_t count) {
  const std::int64_t most =
      std::clamp<std::int64_t>(count, 0, static_cast<std::int64_t>(scores.size()));
  indices_.resize(std::max(indices_.size(), static_cast<std::size_t>(most + kSlack)));
  const std::span<const std::uint64_t> bits = select_bits(scores, excluded, count);
  const std::int64_t listed = HWY_DYNAMIC_DISPATCH(list_bits)(
      bits.data(), static_cast<std::int64_t>(bits.size()), indices_.data());
  return {indices_.data(), static_cast<std::size_t>(listed)};
}

}  // namespace maskerade
#endif  // HWY_ONCE
