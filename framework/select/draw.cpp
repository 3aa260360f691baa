#include "framework/select/draw.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <limits>

#include "framework/sdk/low_bits.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/select/draw.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for every instruction set.
#include "hwy/highway.h"

#ifndef MASKERADE_SELECT_DRAW_ONCE
#define MASKERADE_SELECT_DRAW_ONCE
namespace maskerade {
namespace {

// How many entries past the end of a list may be overwritten.
constexpr std::int64_t kSlack = 64;

// The candidates of a draw: the keys of [begin, end) that are not excluded, 64 keys a word.
struct Candidates {
  std::int64_t begin;
  std::int64_t end;
  const std::uint64_t* excluded;

  std::int64_t words() const { return (end - begin + 63) / 64; }
  std::int64_t first_key(std::int64_t word) const { return begin + word * 64; }
  // Bit j: key first_key(word) + j is a candidate.
  std::uint64_t operator()(std::int64_t word) const {
    return sdk::low_bits(end - first_key(word)) & ~excluded[word];
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

#if HWY_TARGET == HWY_SCALAR

// Computes the tickets of keys. A ticket is (random number, key) as one integer, the random number
// in the high half, so that the smallest tickets are the keys that are drawn.
struct Tickets {
  explicit Tickets(const RandomField::Row& numbers) : row(numbers) {}

  // Writes the tickets of 64 keys, from first_key on, to tickets[64]. Bit j of the result: ticket j
  // is below the bound.
  std::uint64_t fill(std::uint32_t first_key, std::uint64_t bound, std::uint64_t* tickets) const {
    std::uint64_t below = 0;
    for (std::uint32_t j = 0; j < 64; ++j) {
      tickets[j] = (std::uint64_t{row.block(first_key + j)[0]} << 32) | (first_key + j);
      below |= std::uint64_t{tickets[j] < bound ? 1U : 0U} << j;
    }
    return below;
  }

  RandomField::Row row;
};

#else

using Tag = hn::ScalableTag<std::uint64_t>;
using Vector = hn::Vec<Tag>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(Tag()));
// How many vectors of keys are computed at a time: enough that the processor need not wait for one
// product before it starts the next.
constexpr int kVectors = 8;

// Computes the tickets of keys. A ticket is (random number, key) as one integer, the random number
// in the high half, so that the smallest tickets are the keys that are drawn. This is Philox on
// vectors of keys: each 32-bit word lies in the low half of a lane of 64 bits, whose high half may
// hold anything, since products read the low halves alone.
struct Tickets {
  explicit Tickets(const RandomField::Row& numbers) {
    std::copy(numbers.counter.begin(), numbers.counter.end(), counter);
    for (int round = 0; round < Philox::kRounds; ++round) {
      const auto step = static_cast<std::uint32_t>(round);
      keys[round][0] = numbers.key[0] + step * Philox::kWeyl0;
      keys[round][1] = numbers.key[1] + step * Philox::kWeyl1;
    }
  }

  static HWY_INLINE Vector multiply(Vector a, Vector b) {
    const hn::Repartition<std::uint32_t, Tag> halves;
    return hn::MulEven(hn::BitCast(halves, a), hn::BitCast(halves, b));
  }

  // Moves the high half of each lane to its low half. Rationale: a shift would wait for the unit
  // that multiplies, a shuffle does not.
  static HWY_INLINE Vector high(Vector products) {
    const hn::Repartition<float, Tag> halves;
    return hn::BitCast(Tag(), hn::DupOdd(hn::BitCast(halves, products)));
  }

  // Writes the tickets of 64 keys, from first_key on, to tickets[64]. Bit j of the result: ticket j
  // is below the bound.
  HWY_INLINE std::uint64_t fill(std::uint32_t first_key,
                                std::uint64_t bound,
                                std::uint64_t* tickets) const {
    const Tag d;
    const Vector multiplier0 = hn::Set(d, std::uint64_t{Philox::kMultiplier0});
    const Vector multiplier1 = hn::Set(d, std::uint64_t{Philox::kMultiplier1});
    const Vector limit = hn::Set(d, bound);
    std::uint64_t below = 0;
    for (int j = 0; j < 64; j += kVectors * kLanes) {
      Vector key[kVectors];
      Vector c[4][kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        key[v] = hn::Iota(d, std::uint64_t{first_key} + static_cast<std::uint64_t>(j + v * kLanes));
        c[0][v] = key[v];
        c[1][v] = hn::Set(d, counter[0]);
        c[2][v] = hn::Set(d, counter[1]);
        c[3][v] = hn::Set(d, counter[2]);
      }
#pragma GCC unroll 10
      for (int round = 0; round < Philox::kRounds; ++round) {
        const Vector key0 = hn::Set(d, keys[round][0]);
        const Vector key1 = hn::Set(d, keys[round][1]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          const Vector product0 = multiply(multiplier0, c[0][v]);
          const Vector product1 = multiply(multiplier1, c[2][v]);
          c[0][v] = hn::Xor(high(product1), hn::Xor(c[1][v], key0));
          c[1][v] = product1;
          c[2][v] = hn::Xor(high(product0), hn::Xor(c[3][v], key1));
          c[3][v] = product0;
        }
      }
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const Vector ticket = hn::Or(hn::ShiftLeft<32>(c[0][v]), key[v]);
        hn::Store(ticket, d, tickets + j + v * kLanes);
        std::uint8_t bits = 0;
        hn::StoreMaskBits(d, hn::Lt(ticket, limit), &bits);
        below |= std::uint64_t{bits} << (j + v * kLanes);
      }
    }
    return below;
  }

  std::uint64_t counter[3];
  std::uint64_t keys[Philox::kRounds][2];
};

#endif

// Lists the candidates' tickets below `bound`, by ascending key, and returns how many there are.
// May overwrite kSlack entries past them.
std::int64_t collect(const RandomField::Row& numbers,
                     const Candidates& candidates,
                     std::uint64_t bound,
                     std::uint64_t* tickets) {
  const Tickets all(numbers);
  HWY_ALIGN std::uint64_t here[64];
  std::uint64_t* end = tickets;
  for (std::int64_t word = 0; word < candidates.words(); ++word) {
    std::uint64_t left = candidates(word);
    if (left == 0) continue;
    left &= all.fill(static_cast<std::uint32_t>(candidates.first_key(word)), bound, here);
    const int found = std::popcount(left);
    // Four tickets at a time, without a branch for each. Once the word has no bit left, here[0] is
    // written, which is overwritten later.
    for (int done = 0; done < found; done += 4) {
      for (int j = 0; j < 4; ++j) {
        end[done + j] = here[std::countr_zero(left) & 63];
        left &= left - 1;
      }
    }
    end += found;
  }
  return end - tickets;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(collect);

namespace {

constexpr std::uint64_t kEveryTicket = std::numeric_limits<std::uint64_t>::max();

// A bound below which about `rank` of n random tickets are expected to lie.
std::uint64_t ticket_at(double rank, std::int64_t n) {
  const double share = rank / static_cast<double>(n);
  if (share >= 1) return kEveryTicket;
  return share <= 0 ? 0 : static_cast<std::uint64_t>(share * 0x1p32) << 32;
}

}  // namespace

std::span<const std::int32_t> Draw::select(const RandomField& field,
                                           std::uint64_t row,
                                           std::int64_t begin,
                                           std::int64_t end,
                                           std::span<const std::uint64_t> excluded,
                                           std::int64_t count) {
  const Candidates candidates{begin, end, excluded.data()};
  std::int64_t total = 0;
  for (std::int64_t word = 0; word < candidates.words(); ++word) {
    total += std::popcount(candidates(word));
  }
  candidates_ = total;
  const std::int64_t wanted = std::clamp<std::int64_t>(count, 0, total);
  if (wanted == 0) return {};
  keys_.resize(std::max(keys_.size(), static_cast<std::size_t>(wanted + 1)));
  if (wanted == total) {
    std::size_t listed = 0;
    for (std::int64_t word = 0; word < candidates.words(); ++word) {
      for (std::uint64_t left = candidates(word); left != 0; left &= left - 1) {
        keys_[listed++] =
            static_cast<std::int32_t>(candidates.first_key(word) + std::countr_zero(left));
      }
    }
    return {keys_.data(), listed};
  }

  // The number of tickets below a bound has a binomial distribution, so the largest ticket that is
  // drawn probably lies within three standard deviations of where it is expected. Only tickets up
  // to there are collected, and only those in that interval are sorted. When the guess is wrong,
  // all are.
  tickets_.resize(std::max(tickets_.size(), static_cast<std::size_t>(total + kSlack)));
  const auto rank = static_cast<double>(wanted);
  const double slack = 3 * std::sqrt(rank) + 4;
  const RandomField::Row numbers = field.of_row(row);
  std::int64_t collected = HWY_DYNAMIC_DISPATCH(collect)(
      numbers, candidates, ticket_at(rank + slack, total), tickets_.data());
  if (collected < wanted) {
    collected = HWY_DYNAMIC_DISPATCH(collect)(numbers, candidates, kEveryTicket, tickets_.data());
  }
  const std::span<const std::uint64_t> tickets(tickets_.data(),
                                               static_cast<std::size_t>(collected));
  std::uint64_t sure_below = ticket_at(rank - slack, total);
  auto sure = static_cast<std::int64_t>(std::count_if(
      tickets.begin(), tickets.end(), [&](std::uint64_t ticket) { return ticket < sure_below; }));
  if (sure >= wanted) {
    sure_below = 0;
    sure = 0;
  }
  unsure_.clear();
  std::copy_if(tickets.begin(), tickets.end(), std::back_inserter(unsure_),
               [&](std::uint64_t ticket) { return ticket >= sure_below; });
  const auto last = unsure_.begin() + (wanted - sure - 1);
  std::nth_element(unsure_.begin(), last, unsure_.end());
  std::size_t drawn = 0;
  for (const std::uint64_t ticket : tickets) {
    keys_[drawn] = static_cast<std::int32_t>(static_cast<std::uint32_t>(ticket));
    drawn += ticket <= *last ? 1 : 0;
  }
  return {keys_.data(), drawn};
}

}  // namespace maskerade
#endif  // HWY_ONCE
