#include "framework/mask/bit_words.hpp"

#include <bit>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/mask/bit_words.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for every instruction set.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade::detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

std::int64_t count_bits_in(const std::uint64_t* words, std::int64_t count) {
  const hn::ScalableTag<std::uint64_t> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sums = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    sums = hn::Add(sums, hn::PopulationCount(hn::LoadU(d, words + i)));
  }
  auto bits = static_cast<std::int64_t>(hn::GetLane(hn::SumOfLanes(d, sums)));
  for (; i < count; ++i) bits += std::popcount(words[i]);
  return bits;
}

std::int64_t count_runs_in(const std::uint64_t* words, std::int64_t count) {
  const hn::ScalableTag<std::uint64_t> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sums = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto word = hn::LoadU(d, words + i);
    sums = hn::Add(sums, hn::PopulationCount(hn::AndNot(hn::ShiftLeft<1>(word), word)));
  }
  auto runs = static_cast<std::int64_t>(hn::GetLane(hn::SumOfLanes(d, sums)));
  for (; i < count; ++i) runs += std::popcount(words[i] & ~(words[i] << 1));
  return runs;
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade::detail {
HWY_EXPORT(count_bits_in);
HWY_EXPORT(count_runs_in);

std::int64_t count_bits(const std::uint64_t* words, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(count_bits_in)(words, count);
}

std::int64_t count_runs(const std::uint64_t* words, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(count_runs_in)(words, count);
}

}  // namespace maskerade::detail
#endif  // HWY_ONCE
