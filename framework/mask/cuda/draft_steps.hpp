#pragma once

#include <cstdint>

#include "framework/mask/cuda/combine_masks.hpp"
#include "framework/mask/cuda/mask_view.hpp"
#include "framework/sdk/masker_abi.h"

// Steps on a draft: the form that a mask has while maskers add to it on the device
// (maskerade_cuda_rows), with a word for every row and tile, so that any thread finds its word at
// once. They work on plain pointers of one memory space, so that tests run them on the CPU (see
// HostSteps).
namespace maskerade::cuda {

// The words of a draft, in the form in which combine_masks_steps() makes a mask of them.
struct DraftWords {
  MaskView view;              // the mask's extent, lengths and visible ends; no other arrays
  const std::uint64_t* bits;  // [batch * heads * query_len][tiles]
  std::int64_t batch = 1;
  std::int64_t heads = 1;

  MASKERADE_HOST_DEVICE const MaskView& lengths() const { return view; }
  MASKERADE_HOST_DEVICE std::uint64_t word(std::int64_t slice,
                                           std::int64_t query,
                                           std::int64_t tile) const {
    return bits[(slice * view.query_len + query) * view.tiles() + tile];
  }
};

// Where the sampled entries of a draft are written in the order of a mask: those arrays of
// MaskView, and scratch memory.
struct DraftSamples {
  std::int64_t* word_offsets = nullptr;     // [rows * words + 1] scratch: entries before a word's
  std::int32_t* kept_counts = nullptr;      // [rows] scratch: entries of a row that were written
  std::int64_t* sampled_offsets = nullptr;  // [rows + 1]
  std::int32_t* sampled_keys = nullptr;     // [capacity]
  float* sampled_probabilities = nullptr;   // [capacity]
  std::int64_t capacity = 0;                // entries of all rows together
};

namespace detail {

// Adds 1, atomically where threads run at the same time.
MASKERADE_HOST_DEVICE void add_one(std::int32_t* to) {
#if defined(__CUDA_ARCH__)
  atomicAdd(to, 1);
#else
  ++*to;
#endif
}

MASKERADE_HOST_DEVICE std::int64_t rows_in(const maskerade_cuda_rows& draft) {
  return draft.batch * draft.heads * draft.query_len;
}

// Writes the words of a mask, which is broadcast to the draft's extent, into the draft `to`. One
// call for each word of the draft.
struct ReadMask {
  MaskView from;
  maskerade_cuda_rows to;

  MASKERADE_HOST_DEVICE std::int64_t source_slice(std::int64_t slice) const {
    const std::int64_t b = from.batch == 1 ? 0 : slice / to.heads;
    return b * from.heads + slice % to.heads * from.heads / to.heads;
  }
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t row = i / to.words;
    const std::int64_t slice = source_slice(row / to.query_len);
    to.bits[i] = from.word(slice, row % to.query_len, i % to.words);
    if (to.sampled_bits == nullptr) return;
    to.sampled_bits[i] = from.support_word(slice, row % to.query_len, i % to.words) & ~to.bits[i];
  }
};

// Writes the sampled entries of the mask into the draft's lists. One call for each row of the
// draft.
struct ReadSamples : ReadMask {
  MASKERADE_HOST_DEVICE void operator()(std::int64_t row) const {
    to.sampled_counts[row] = 0;
    if (!from.has_sampled()) return;
    const std::int64_t slice = source_slice(row / to.query_len);
    const std::int64_t begin = from.first_sampled(slice, row % to.query_len, 0);
    const std::int64_t count = from.sampled_end(slice, row % to.query_len) - begin;
    if (count > to.sampled_capacity) *to.faults |= MASKERADE_CUDA_OVERFLOW;
    to.sampled_counts[row] = static_cast<std::int32_t>(smaller(count, to.sampled_capacity));
    for (std::int64_t s = 0; s < to.sampled_counts[row]; ++s) {
      to.sampled_keys[row * to.sampled_capacity + s] = from.sampled_keys[begin + s];
      to.sampled_probabilities[row * to.sampled_capacity + s] =
          from.sampled_probabilities[begin + s];
    }
  }
};

// Writes the words of a draft, which is broadcast to a larger extent, into the draft `to`. One call
// for each word of `to`.
struct WidenDraft {
  maskerade_cuda_rows from;
  maskerade_cuda_rows to;

  MASKERADE_HOST_DEVICE std::int64_t source_row(std::int64_t row) const {
    const std::int64_t slice = row / to.query_len;
    const std::int64_t b = from.batch == 1 ? 0 : slice / to.heads;
    const std::int64_t head = slice % to.heads * from.heads / to.heads;
    return (b * from.heads + head) * to.query_len + row % to.query_len;
  }
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t at = source_row(i / to.words) * to.words + i % to.words;
    to.bits[i] = from.bits[at];
    if (to.sampled_bits != nullptr) {
      to.sampled_bits[i] = from.sampled_bits == nullptr ? 0 : from.sampled_bits[at];
    }
  }
};

// Writes the sampled entries of the draft `from` into the lists of `to`. One call for each row of
// `to`.
struct WidenSamples : WidenDraft {
  MASKERADE_HOST_DEVICE void operator()(std::int64_t row) const {
    const std::int64_t source = source_row(row);
    to.sampled_counts[row] = from.sampled_bits == nullptr ? 0 : from.sampled_counts[source];
    for (std::int64_t s = 0; s < smaller<std::int64_t>(to.sampled_counts[row], to.sampled_capacity);
         ++s) {
      to.sampled_keys[row * to.sampled_capacity + s] =
          from.sampled_keys[source * from.sampled_capacity + s];
      to.sampled_probabilities[row * to.sampled_capacity + s] =
          from.sampled_probabilities[source * from.sampled_capacity + s];
    }
  }
};

// Drops the sampled entries that have become bits, and counts those that are left in each word. One
// call for each word.
struct CountSamples {
  maskerade_cuda_rows draft;
  DraftSamples to;

  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    draft.sampled_bits[i] &= ~draft.bits[i];
    to.word_offsets[i] = popcount(draft.sampled_bits[i]);
  }
};

// Finds where each row's sampled entries begin in the mask. One call for each row, and one for the
// end of the last.
struct FindSampledRows : CountSamples {
  MASKERADE_HOST_DEVICE void operator()(std::int64_t row) const {
    if (row < rows_in(draft)) to.kept_counts[row] = 0;
    // Entries beyond the capacity belong to no row, so that nobody reads them.
    const std::int64_t offset = to.word_offsets[row * draft.words];
    to.sampled_offsets[row] = smaller(offset, to.capacity);
    if (offset > to.capacity) *draft.faults |= MASKERADE_CUDA_OVERFLOW;
  }
};

// Writes each sampled entry of the draft's lists, which are in any order, to its position in the
// mask. One call for each position in the lists, used or not.
struct KeepSamples : CountSamples {
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t row = i / draft.sampled_capacity;
    if (i % draft.sampled_capacity >= draft.sampled_counts[row]) return;
    const std::int64_t key = draft.sampled_keys[i];
    if (key < 0 || key >= draft.key_len) {
      *draft.faults |= MASKERADE_CUDA_SAMPLED_TWICE;
      return;
    }
    const std::int64_t at = row * draft.words + key / 64;
    const std::uint64_t word = draft.sampled_bits[at];
    if ((word >> (key % 64) & 1U) == 0) {
      // A listed key that has become a bit is left out. One that is neither is a fault.
      if ((draft.bits[at] >> (key % 64) & 1U) == 0) *draft.faults |= MASKERADE_CUDA_SAMPLED_TWICE;
      return;
    }
    add_one(to.kept_counts + row);
    const std::int64_t target = to.word_offsets[at] + popcount(word & low_bits(key % 64));
    if (target >= to.capacity) return;
    to.sampled_keys[target] = static_cast<std::int32_t>(key);
    to.sampled_probabilities[target] = draft.sampled_probabilities[i];
  }
};

// Checks that each row has as many entries as sampled bits, so that every one was written. Where
// that is not so it reports a fault and writes harmless entries, since nobody may read memory that
// was not written. One call for each row.
struct CheckSamples : CountSamples {
  MASKERADE_HOST_DEVICE void operator()(std::int64_t row) const {
    const std::int64_t bits =
        to.word_offsets[(row + 1) * draft.words] - to.word_offsets[row * draft.words];
    if (to.kept_counts[row] == bits) return;
    *draft.faults |= MASKERADE_CUDA_SAMPLED_TWICE;
    for (std::int64_t s = to.sampled_offsets[row]; s < to.sampled_offsets[row + 1]; ++s) {
      to.sampled_keys[s] = 0;
      to.sampled_probabilities[s] = 1;
    }
  }
};

}  // namespace detail

// Fills the draft `to` with the entries of a mask, which is broadcast to the draft's extent.
// Reports MASKERADE_CUDA_OVERFLOW in *to.faults when a row has more sampled entries than the draft
// has room.
template <typename Steps>
void read_mask_steps(const Steps& steps, const MaskView& from, const maskerade_cuda_rows& to) {
  const detail::ReadMask step{from, to};
  steps.for_each(detail::rows_in(to) * to.words, step);
  if (to.sampled_bits != nullptr) steps.for_each(detail::rows_in(to), detail::ReadSamples{step});
}

// Fills the draft `to` with the entries of another draft, which is broadcast to its extent. The
// rows of `to` must have room for as many sampled entries.
template <typename Steps>
void widen_draft_steps(const Steps& steps,
                       const maskerade_cuda_rows& from,
                       const maskerade_cuda_rows& to) {
  const detail::WidenDraft step{from, to};
  steps.for_each(detail::rows_in(to) * to.words, step);
  if (to.sampled_bits != nullptr) steps.for_each(detail::rows_in(to), detail::WidenSamples{step});
}

// Writes a draft's sampled entries in the order of a mask: row by row, by ascending key. Reports
// MASKERADE_CUDA_OVERFLOW in *draft.faults when there are more than to.capacity, and
// MASKERADE_CUDA_SAMPLED_TWICE when a row's list and its sampled bits do not have the same keys.
template <typename Steps>
void sort_samples_steps(const Steps& steps,
                        const maskerade_cuda_rows& draft,
                        const DraftSamples& to) {
  const std::int64_t rows = detail::rows_in(draft);
  const detail::CountSamples step{draft, to};
  steps.for_each(rows * draft.words, step);
  steps.exclusive_sum(to.word_offsets, rows * draft.words);
  steps.for_each(rows + 1, detail::FindSampledRows{step});
  steps.for_each(rows * draft.sampled_capacity, detail::KeepSamples{step});
  steps.for_each(rows, detail::CheckSamples{step});
}

}  // namespace maskerade::cuda
