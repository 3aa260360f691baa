#include "framework/mask/detail/word_kernels.hpp"

#include <bit>
#include <type_traits>

#include "framework/mask/bit_words.hpp"
#include "framework/mask/detail/probability.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/mask/detail/word_kernels.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for every instruction set.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade::detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using WordTag = hn::ScalableTag<std::uint64_t>;
using WordVector = hn::Vec<WordTag>;

// A WordOperation on vectors of words.
struct WordOperationVectors {
  explicit WordOperationVectors(const WordOperation& operation)
      : flip_a(hn::Set(WordTag(), operation.flip_a)),
        flip_b(hn::Set(WordTag(), operation.flip_b)),
        flip_result(hn::Set(WordTag(), operation.flip_result)) {}

  HWY_INLINE WordVector apply(WordVector a, WordVector b) const {
    return hn::Xor(hn::And(hn::Xor(a, flip_a), hn::Xor(b, flip_b)), flip_result);
  }

  WordVector flip_a;
  WordVector flip_b;
  WordVector flip_result;
};

// A vector mask as bits: bit i is lane i. Rationale: the bits are read back in the width in which
// they were written, since a wider load would wait for the store.
template <typename D>
HWY_INLINE std::uint64_t bits_of(D d, hn::Mask<D> mask) {
  std::conditional_t<(hn::MaxLanes(d) > 8), std::uint16_t, std::uint8_t> bits = 0;
  hn::StoreMaskBits(d, mask, reinterpret_cast<std::uint8_t*>(&bits));
  return bits;
}

// The vector mask whose lane i is bit i.
template <typename D>
HWY_INLINE hn::Mask<D> mask_of(D d, std::uint64_t bits) {
  return hn::LoadMaskBits(d, reinterpret_cast<const std::uint8_t*>(&bits));
}

TileSummary combine_tile(const WordOperation& operation,
                         const std::uint64_t* a,
                         const std::uint64_t* b,
                         const std::uint64_t* visible,
                         int rows,
                         std::uint64_t* result) {
  const WordTag d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  const WordOperationVectors vectors(operation);
  auto united = hn::Zero(d);
  auto missing = hn::Zero(d);
  int row = 0;
  for (; row + lanes <= rows; row += lanes) {
    const auto words = vectors.apply(hn::LoadU(d, a + row), hn::LoadU(d, b + row));
    hn::StoreU(words, d, result + row);
    united = hn::Or(united, words);
    missing = hn::Or(missing, hn::Xor(words, hn::LoadU(d, visible + row)));
  }
  const auto zero = hn::Zero(d);
  TileSummary summary{hn::AllTrue(d, hn::Eq(united, zero)), hn::AllTrue(d, hn::Eq(missing, zero))};
  for (; row < rows; ++row) {
    result[row] =
        ((a[row] ^ operation.flip_a) & (b[row] ^ operation.flip_b)) ^ operation.flip_result;
    summary.is_empty &= result[row] == 0;
    summary.is_full &= result[row] == visible[row];
  }
  return summary;
}

// For each value of a byte: the numbers of its set bits, ascending; and for each of its bits, how
// many set bits are below it.
struct ByteTables {
  std::uint8_t set_bits[256][8];
  std::uint8_t ranks[256][8];
};
constexpr ByteTables kByteTables = [] {
  ByteTables tables{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::uint8_t found = 0;
    for (std::uint8_t bit = 0; bit < 8; ++bit) {
      tables.ranks[byte][bit] = found;
      if ((byte >> bit & 1U) != 0) tables.set_bits[byte][found++] = bit;
    }
  }
  return tables;
}();

#if HWY_TARGET == HWY_SCALAR

GroupSummary combine_one_row(const WordOperation& operation,
                             const OneRowTiles& a,
                             const OneRowTiles& b,
                             const std::uint64_t* visible,
                             std::uint64_t open,
                             std::uint64_t* result) {
  const auto word_of = [visible](const OneRowTiles& tiles, int tile, const std::uint64_t*& next) {
    if ((tiles.partial >> tile & 1U) != 0) return *next++;
    return (tiles.full >> tile & 1U) != 0 ? visible[tile] : std::uint64_t{0};
  };
  const std::uint64_t* next_a = a.words;
  const std::uint64_t* next_b = b.words;
  GroupSummary summary;
  for (int tile = 0; tile < 64; ++tile) {
    const std::uint64_t x = word_of(a, tile, next_a) ^ operation.flip_a;
    const std::uint64_t y = word_of(b, tile, next_b) ^ operation.flip_b;
    const std::uint64_t word = (x & y) ^ operation.flip_result;
    const std::uint64_t any = (open >> tile & 1U) & std::uint64_t{word != 0};
    const std::uint64_t full = any & std::uint64_t{word == visible[tile]};
    summary.any |= any << tile;
    summary.full |= full << tile;
    *result = word;
    result += any & ~full;
  }
  return summary;
}

#else

// Lane i of the result is lane indices[i] of the table.
HWY_INLINE WordVector permute(WordVector table, const std::uint8_t* indices) {
  const WordTag d;
  const hn::Rebind<std::uint32_t, WordTag> half;
  const hn::Rebind<std::uint8_t, WordTag> narrow;
  const auto wide = hn::PromoteTo(d, hn::PromoteTo(half, hn::LoadU(narrow, indices)));
  return hn::TableLookupLanes(table, hn::IndicesFromVec(d, wide));
}

// combine_one_row() on vectors of tiles. kDense: every tile of both operands is partial, so that
// their words need not be moved to their tiles' lanes.
template <bool kDense>
HWY_INLINE GroupSummary combine_lanes(const WordOperation& operation,
                                      const OneRowTiles& a,
                                      const OneRowTiles& b,
                                      const std::uint64_t* visible,
                                      std::uint64_t open,
                                      std::uint64_t* result) {
  const WordTag d;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
  constexpr std::uint64_t kLaneBits = low_bits(kLanes);
  const WordOperationVectors vectors(operation);
  const std::uint64_t* next_a = a.words;
  const std::uint64_t* next_b = b.words;
  const auto words_of = [d](const OneRowTiles& tiles, int tile, WordVector seen,
                            const std::uint64_t*& next) {
    const auto own = hn::LoadU(d, next);
    if constexpr (kDense) {
      next += kLanes;
      return own;
    }
    const std::uint64_t partial = tiles.partial >> tile & kLaneBits;
    next += std::popcount(partial);
    return hn::Or(hn::IfThenElseZero(mask_of(d, partial), permute(own, kByteTables.ranks[partial])),
                  hn::IfThenElseZero(mask_of(d, tiles.full >> tile & kLaneBits), seen));
  };
  GroupSummary summary;
  for (int tile = 0; tile < 64; tile += kLanes) {
    const auto seen = hn::LoadU(d, visible + tile);
    const auto words =
        vectors.apply(words_of(a, tile, seen, next_a), words_of(b, tile, seen, next_b));
    const std::uint64_t any = (open >> tile & kLaneBits) & bits_of(d, hn::Ne(words, hn::Zero(d)));
    const std::uint64_t full = any & bits_of(d, hn::Eq(words, seen));
    summary.any |= any << tile;
    summary.full |= full << tile;
    const std::uint64_t kept = any & ~full;
    hn::StoreU(kept == kLaneBits ? words : permute(words, kByteTables.set_bits[kept]), d, result);
    result += std::popcount(kept);
  }
  return summary;
}

GroupSummary combine_one_row(const WordOperation& operation,
                             const OneRowTiles& a,
                             const OneRowTiles& b,
                             const std::uint64_t* visible,
                             std::uint64_t open,
                             std::uint64_t* result) {
  const bool is_dense = (a.partial & b.partial) == ~std::uint64_t{0};
  return is_dense ? combine_lanes<true>(operation, a, b, visible, open, result)
                  : combine_lanes<false>(operation, a, b, visible, open, result);
}

#endif

std::int32_t* write_keys(const std::uint64_t* words,
                         const std::int32_t* first_keys,
                         std::size_t count,
                         std::int32_t* keys) {
  // A word with at least so many keys is written byte by byte, by a table; one with fewer bit by
  // bit, which is then quicker.
  constexpr int kDense = 12;
  const hn::CappedTag<std::int32_t, 8> d;
  const hn::Rebind<std::uint8_t, decltype(d)> narrow;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t word = words[i];
    const std::int32_t first = first_keys[i];
    const int found = std::popcount(word);
    if (hn::MaxLanes(d) < 8 || found < kDense) {
      // Four keys at a time, without a branch for each; what is written too much is overwritten.
      for (int done = 0; done < found; done += 4) {
        for (int j = 0; j < 4; ++j) {
          keys[done + j] = first + std::countr_zero(word);
          word &= word - 1;
        }
      }
      keys += found;
      continue;
    }
    for (int j = 0; j < 64; j += 8) {
      const std::uint64_t byte = (word >> j) & 255U;
      const auto set_bits = hn::PromoteTo(d, hn::LoadU(narrow, kByteTables.set_bits[byte]));
      hn::StoreU(hn::Add(set_bits, hn::Set(d, first + j)), d, keys);
      keys += std::popcount(byte);
    }
  }
  return keys;
}

void write_ones(std::uint64_t word, int count, float* weights) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  const auto one = hn::Set(d, 1.0F);
  int j = 0;
  for (; j + lanes <= count; j += lanes) {
    hn::StoreU(hn::IfThenElseZero(mask_of(d, word >> j), one), d, weights + j);
  }
  for (; j < count; ++j) weights[j] = static_cast<float>((word >> j) & 1U);
}

WeightBits read_weights(const float* weights, int count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  const auto zero = hn::Zero(d);
  const auto one = hn::Set(d, 1.0F);
  std::uint64_t positive = 0;
  WeightBits bits;
  std::uint64_t below_one = 0;
  std::uint64_t zeros = 0;
  int j = 0;
  for (; j + lanes <= count; j += lanes) {
    const auto values = hn::LoadU(d, weights + j);
    bits.ones |= bits_of(d, hn::Eq(values, one)) << j;
    zeros |= bits_of(d, hn::Eq(values, zero)) << j;
    positive |= bits_of(d, hn::Gt(values, zero)) << j;
    below_one |= bits_of(d, hn::Lt(values, one)) << j;
  }
  for (; j < count; ++j) {
    bits.ones |= std::uint64_t{weights[j] == 1.0F} << j;
    zeros |= std::uint64_t{weights[j] == 0.0F} << j;
    positive |= std::uint64_t{weights[j] > 0.0F} << j;
    below_one |= std::uint64_t{weights[j] < 1.0F} << j;
  }
  bits.sampled = positive & below_one;
  bits.invalid = low_bits(count) & ~(bits.ones | zeros | bits.sampled);
  return bits;
}

void unite_probabilities(float* p, const float* q, std::size_t count) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> narrow;
  const std::size_t lanes = hn::Lanes(d);
  const auto one = hn::Set(narrow, 1.0F);
  const auto most = hn::Set(narrow, kMostSampled);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto x = hn::LoadU(narrow, p + i);
    const auto y = hn::LoadU(narrow, q + i);
    const auto wide_x = hn::PromoteTo(d, x);
    const auto wide_y = hn::PromoteTo(d, y);
    const auto united =
        hn::DemoteTo(narrow, hn::Sub(hn::Add(wide_x, wide_y), hn::Mul(wide_x, wide_y)));
    const auto certain = hn::Ge(hn::Max(x, y), one);
    hn::StoreU(hn::IfThenElse(certain, one, hn::Min(united, most)), narrow, p + i);
  }
  for (; i < count; ++i) p[i] = united_probability(p[i], q[i]);
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade::detail
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade::detail {

HWY_EXPORT(combine_tile);
HWY_EXPORT(combine_one_row);
HWY_EXPORT(write_keys);
HWY_EXPORT(write_ones);
HWY_EXPORT(read_weights);
HWY_EXPORT(unite_probabilities);

TileSummary combine_tile(const WordOperation& operation,
                         const std::uint64_t* a,
                         const std::uint64_t* b,
                         const std::uint64_t* visible,
                         int rows,
                         std::uint64_t* result) {
  return HWY_DYNAMIC_DISPATCH(combine_tile)(operation, a, b, visible, rows, result);
}

GroupSummary combine_one_row(const WordOperation& operation,
                             const OneRowTiles& a,
                             const OneRowTiles& b,
                             const std::uint64_t* visible,
                             std::uint64_t open,
                             std::uint64_t* result) {
  return HWY_DYNAMIC_DISPATCH(combine_one_row)(operation, a, b, visible, open, result);
}

std::int32_t* write_keys(const std::uint64_t* words,
                         const std::int32_t* first_keys,
                         std::size_t count,
                         std::int32_t* keys) {
  return HWY_DYNAMIC_DISPATCH(write_keys)(words, first_keys, count, keys);
}

void write_ones(std::uint64_t word, int count, float* weights) {
  HWY_DYNAMIC_DISPATCH(write_ones)(word, count, weights);
}

WeightBits read_weights(const float* weights, int count) {
  return HWY_DYNAMIC_DISPATCH(read_weights)(weights, count);
}

void unite_probabilities(float* p, const float* q, std::size_t count) {
  HWY_DYNAMIC_DISPATCH(unite_probabilities)(p, q, count);
}

}  // namespace maskerade::detail
#endif  // HWY_ONCE
