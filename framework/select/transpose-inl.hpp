// Code that Highway compiles once for every instruction set: include it only in sources that are
// compiled so. Rationale: not #pragma once, because each instruction set must include the file
// once.
#if defined(MASKERADE_SELECT_TRANSPOSE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MASKERADE_SELECT_TRANSPOSE_INL
#undef MASKERADE_SELECT_TRANSPOSE_INL
#else
#define MASKERADE_SELECT_TRANSPOSE_INL
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Loads four columns of as many rows as a vector has lanes: lane l of columns[i] is
// rows[l][offset + i], for i < 4.
HWY_INLINE void load_columns(const float* const* rows,
                             std::int64_t offset,
                             hn::Vec<hn::ScalableTag<float>>* columns) {
  const hn::ScalableTag<float> d;
#if HWY_TARGET == HWY_SCALAR
  for (int i = 0; i < 4; ++i) columns[i] = hn::Set(d, rows[0][offset + i]);
#else
  // Loads four elements of every fourth row, one row in each 128-bit block of a vector; then
  // transposes 4 x 4 elements within the blocks.
  const auto every_fourth = [&](const float* const* row) HWY_ATTR {
    const hn::FixedTag<float, 4> block;
    const auto first = hn::LoadU(block, row[0] + offset);
#if HWY_CAP_GE256
    const hn::FixedTag<float, 8> pair;
    const auto low = hn::Combine(pair, hn::LoadU(block, row[4] + offset), first);
#if HWY_CAP_GE512
    return hn::Combine(
        d, hn::Combine(pair, hn::LoadU(block, row[12] + offset), hn::LoadU(block, row[8] + offset)),
        low);
#else
    return low;
#endif
#else
    return first;
#endif
  };
  const auto v0 = every_fourth(rows);
  const auto v1 = every_fourth(rows + 1);
  const auto v2 = every_fourth(rows + 2);
  const auto v3 = every_fourth(rows + 3);
  const auto even_low = hn::InterleaveLower(d, v0, v2);
  const auto odd_low = hn::InterleaveLower(d, v1, v3);
  const auto even_high = hn::InterleaveUpper(d, v0, v2);
  const auto odd_high = hn::InterleaveUpper(d, v1, v3);
  columns[0] = hn::InterleaveLower(d, even_low, odd_low);
  columns[1] = hn::InterleaveUpper(d, even_low, odd_low);
  columns[2] = hn::InterleaveLower(d, even_high, odd_high);
  columns[3] = hn::InterleaveUpper(d, even_high, odd_high);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#endif  // MASKERADE_SELECT_TRANSPOSE_INL
