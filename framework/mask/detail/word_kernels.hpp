#pragma once

#include <cstddef>
#include <cstdint>

namespace maskerade::detail {

// The loops over a mask's words and weights, for the widest instruction set of this machine;
// results are the same on all.

// A set operation on words: ((a ^ flip_a) & (b ^ flip_b)) ^ flip_result.
struct WordOperation {
  std::uint64_t flip_a = 0;
  std::uint64_t flip_b = 0;
  std::uint64_t flip_result = 0;
};

// Elements past the end of an array that a kernel may read or overwrite where it says so.
inline constexpr std::size_t kSlack = 8;

// What is true of a tile's words together.
struct TileSummary {
  bool is_empty = true;
  bool is_full = true;  // the words are the visible ones
};

// One tile of `rows` rows: result[rows] = operation(a[rows], b[rows]); visible[rows] are the bits
// that count.
TileSummary combine_tile(const WordOperation& operation,
                         const std::uint64_t* a,
                         const std::uint64_t* b,
                         const std::uint64_t* visible,
                         int rows,
                         std::uint64_t* result);

// 64 tiles of one row: bit t says whether tile t is partial or full, if any; the words of the
// partial ones stand in order, and kSlack words past them can be read.
struct OneRowTiles {
  std::uint64_t partial = 0;
  std::uint64_t full = 0;
  const std::uint64_t* words = nullptr;
};

// What is true of each of 64 tiles.
struct GroupSummary {
  std::uint64_t any = 0;
  std::uint64_t full = 0;
};

// operation(a, b) for the tiles in `open`, visible[64] being their visible words. The words that
// are neither 0 nor visible[t] go to result[], in order; kSlack words past them are overwritten.
GroupSummary combine_one_row(const WordOperation& operation,
                             const OneRowTiles& a,
                             const OneRowTiles& b,
                             const std::uint64_t* visible,
                             std::uint64_t open,
                             std::uint64_t* result);

// Writes first_keys[i] + j for every set bit j of words[i], i < count, ascending when the keys are;
// kSlack keys past them are overwritten. Returns the end of what was written.
std::int32_t* write_keys(const std::uint64_t* words,
                         const std::int32_t* first_keys,
                         std::size_t count,
                         std::int32_t* keys);

// weights[j] = bit j of `word`, for j < count <= 64.
void write_ones(std::uint64_t word, int count, float* weights);

// Which of up to 64 weights are 1, are in (0, 1), and are neither of these nor 0.
struct WeightBits {
  std::uint64_t ones = 0;
  std::uint64_t sampled = 0;
  std::uint64_t invalid = 0;
};
WeightBits read_weights(const float* weights, int count);

// p[i] = united_probability(p[i], q[i]).
void unite_probabilities(float* p, const float* q, std::size_t count);

}  // namespace maskerade::detail
