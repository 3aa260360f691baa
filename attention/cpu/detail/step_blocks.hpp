#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"

namespace maskerade::detail {

// A key block of a step of the online softmax, with its keys and values in the form that the step's
// kernels read. A view.
struct StepBlock {
  const KeyBlock* block = nullptr;
  const float* keys = nullptr;    // in the step's TileForm
  const float* values = nullptr;  // in the step's TileForm; nullptr: read in place
  const std::uint64_t* words =
      nullptr;             // [rows] active columns of each row; nullptr: all of `tail`
  std::uint64_t tail = 0;  // bits of the columns that hold a key

  // The columns that are active in some row of [begin, end).
  std::uint64_t columns(int begin, int end) const {
    if (words == nullptr) return tail;
    std::uint64_t any = 0;
    for (int r = begin; r < end; ++r) any |= words[r];
    return any & tail;
  }
};

// Of a step's key blocks those in which some of its rows have an active key, in order. A view.
struct TouchedBlocks {
  int count = 0;
  const StepBlock* blocks[kStepBlocks];     // [count]
  int columns[kStepBlocks];                 // [count] one more than the last active column
  const std::uint64_t* words[kStepBlocks];  // [count] see SoftmaxStep; from the step's first row on
  std::uint64_t tails[kStepBlocks];         // [count] see SoftmaxStep

  // all: at most kStepBlocks. row, rows: the step's rows within the row block.
  TouchedBlocks(std::span<const StepBlock> all, int row, int rows) {
    for (const StepBlock& block : all) {
      const std::uint64_t active = block.columns(row, row + rows);
      if (active == 0) continue;
      blocks[count] = &block;
      columns[count] = static_cast<int>(std::bit_width(active));
      words[count] = block.words == nullptr ? nullptr : block.words + row;
      tails[count] = block.tail;
      ++count;
    }
  }
};

}  // namespace maskerade::detail
