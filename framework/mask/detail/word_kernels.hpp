#pragma once

#include <cstddef>
#include <cstdint>

namespace maskerade::detail {

// The loops over a mask's words and probabilities. Each is compiled for several instruction sets,
// of which it uses the widest that the machine has; the results are the same on all.

// A set operation on words of bits: ((a ^ flip_a) & (b ^ flip_b)) ^ flip_result.
struct WordOperation {
  std::uint64_t flip_a = 0;
  std::uint64_t flip_b = 0;
  std::uint64_t flip_result = 0;
};

// How many elements past the end of an array a function here may read or overwrite, where its
// comment says so.
inline constexpr std::size_t kSlack = 8;

// Whether a tile has no active bit, and whether all its visible bits are active.
struct TileSummary {
  bool is_empty = true;
  bool is_full = true;
};

// Combines the words a[rows] and b[rows] of a tile into result[rows]. visible[rows] are the tile's
// visible bits, with which the summary compares the result.
TileSummary combine_tile(const WordOperation& operation,
                         const std::uint64_t* a,
                         const std::uint64_t* b,
                         const std::uint64_t* visible,
                         int rows,
                         std::uint64_t* result);

// 64 tiles of one row. A tile that is neither partial nor full is empty.
struct OneRowTiles {
  std::uint64_t partial = 0;             // bit t: tile t is partial
  std::uint64_t full = 0;                // bit t: tile t is full
  const std::uint64_t* words = nullptr;  // [partial tiles], in their order; kSlack more are read
};

// Which of 64 tiles have an active bit, and which are full.
struct GroupSummary {
  std::uint64_t any = 0;   // bit t: tile t has an active bit
  std::uint64_t full = 0;  // bit t: all visible bits of tile t are active
};

// Combines 64 tiles of one row, those whose bit in `open` is set; visible[t] are the visible bits
// of tile t. The words of the result's partial tiles are written to result[] in their order, and
// kSlack words past them may be overwritten.
GroupSummary combine_one_row(const WordOperation& operation,
                             const OneRowTiles& a,
                             const OneRowTiles& b,
                             const std::uint64_t* visible,
                             std::uint64_t open,
                             std::uint64_t* result);

// Writes the key first_keys[i] + j for every set bit j of every words[i], i < count, in this order.
// kSlack keys past them may be overwritten. Returns the end of the keys.
std::int32_t* write_keys(const std::uint64_t* words,
                         const std::int32_t* first_keys,
                         std::size_t count,
                         std::int32_t* keys);

// Sets weights[j] to 1 or 0 as bit j of `word` is set or not, for j < count <= 64.
void write_ones(std::uint64_t word, int count, float* weights);

// What up to 64 weights are: bit j is about weight j. A weight of 0 has no bit.
struct WeightBits {
  std::uint64_t ones = 0;     // the weight is 1
  std::uint64_t sampled = 0;  // the weight lies between 0 and 1
  std::uint64_t invalid = 0;  // the weight is no probability: outside [0, 1] or NaN
};
// Sorts weights[0 .. count), 1 <= count <= 64.
WeightBits read_weights(const float* weights, int count);

// Sets p[i] to united_probability(p[i], q[i]), for i < count.
void unite_probabilities(float* p, const float* q, std::size_t count);

}  // namespace maskerade::detail
