#pragma once

#include <cstdint>

#include "framework/mask/cuda/combine_masks.hpp"
#include "framework/mask/cuda/mask_view.hpp"
#include "framework/sdk/masker_abi.h"

// A mask while maskers add to it on the device (maskerade_cuda_rows): a word for every row and
// tile, so that any thread finds it at once. Written against steps and plain pointers, so that
// tests run it on the CPU.
namespace maskerade::cuda {

// The words of a draft, as combine_masks_steps packs them.
struct DraftWords {
  MaskView lengths;  // and `ends`; without arrays
  const std::uint64_t* bits;
  std::int64_t batch = 1;
  std::int64_t heads = 1;

  MASKERADE_HOST_DEVICE const MaskView& of() const { return lengths; }
  MASKERADE_HOST_DEVICE std::uint64_t word(std::int64_t slice,
                                           std::int64_t query,
                                           std::int64_t tile) const {
    return bits[(slice * lengths.query_len + query) * lengths.tiles() + tile];
  }
};

// Where the sampled entries of a draft go, see MaskView.
struct DraftSamples {
  std::int64_t* word_offsets = nullptr;     // [rows * words + 1] scratch
  std::int32_t* kept = nullptr;             // [rows] scratch
  std::int64_t* sampled_offsets = nullptr;  // [rows + 1]
  std::int32_t* sampled_keys = nullptr;     // [capacity]
  float* sampled_probabilities = nullptr;
  std::int64_t capacity = 0;
};

namespace detail {

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

// One call for each word of the draft `to`: that of a mask, which is broadcast to its extent.
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

// One call for each row of the draft.
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

// One call for each word of the draft `to`, from one of another extent.
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

// One call for each row of the draft `to`.
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

// One call for each word: what became a bit is no sampled entry, and how many are left.
struct CountSamples {
  maskerade_cuda_rows draft;
  DraftSamples to;

  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    draft.sampled_bits[i] &= ~draft.bits[i];
    to.word_offsets[i] = popcount(draft.sampled_bits[i]);
  }
};

// One call for each row, and one for their end.
struct FindSampledRows : CountSamples {
  MASKERADE_HOST_DEVICE void operator()(std::int64_t row) const {
    if (row < rows_in(draft)) to.kept[row] = 0;
    // What has no room belongs to no row, so that nobody reads it.
    const std::int64_t offset = to.word_offsets[row * draft.words];
    to.sampled_offsets[row] = smaller(offset, to.capacity);
    if (offset > to.capacity) *draft.faults |= MASKERADE_CUDA_OVERFLOW;
  }
};

// One call for each place in the rows' lists.
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
      // What became a bit since is left out; what never was an entry is a fault.
      if ((draft.bits[at] >> (key % 64) & 1U) == 0) *draft.faults |= MASKERADE_CUDA_SAMPLED_TWICE;
      return;
    }
    add_one(to.kept + row);
    const std::int64_t target = to.word_offsets[at] + popcount(word & low_bits(key % 64));
    if (target >= to.capacity) return;
    to.sampled_keys[target] = static_cast<std::int32_t>(key);
    to.sampled_probabilities[target] = draft.sampled_probabilities[i];
  }
};

// One call for each row: every bit has one entry. Where that is not so, nobody is to read what was
// not written.
struct CheckSamples : CountSamples {
  MASKERADE_HOST_DEVICE void operator()(std::int64_t row) const {
    const std::int64_t bits =
        to.word_offsets[(row + 1) * draft.words] - to.word_offsets[row * draft.words];
    if (to.kept[row] == bits) return;
    *draft.faults |= MASKERADE_CUDA_SAMPLED_TWICE;
    for (std::int64_t s = to.sampled_offsets[row]; s < to.sampled_offsets[row + 1]; ++s) {
      to.sampled_keys[s] = 0;
      to.sampled_probabilities[s] = 1;
    }
  }
};

}  // namespace detail

// Fills a draft with a mask, which is broadcast to its extent.
template <typename Steps>
void read_mask_steps(const Steps& steps, const MaskView& from, const maskerade_cuda_rows& to) {
  const detail::ReadMask step{from, to};
  steps.for_each(detail::rows_in(to) * to.words, step);
  if (to.sampled_bits != nullptr) steps.for_each(detail::rows_in(to), detail::ReadSamples{step});
}

// Fills a draft with another one, which is broadcast to its extent and has no more sampled entries.
template <typename Steps>
void widen_draft_steps(const Steps& steps,
                       const maskerade_cuda_rows& from,
                       const maskerade_cuda_rows& to) {
  const detail::WidenDraft step{from, to};
  steps.for_each(detail::rows_in(to) * to.words, step);
  if (to.sampled_bits != nullptr) steps.for_each(detail::rows_in(to), detail::WidenSamples{step});
}

// Brings a draft's sampled entries into the order of a mask.
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
