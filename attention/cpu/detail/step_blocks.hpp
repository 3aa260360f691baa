#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"

namespace maskerade::detail {

// A key block of a step of the online softmax, made ready.
struct StepBlock {
  const KeyBlock* block = nullptr;
  const float* keys = nullptr;           // in the form of the step
  const float* values = nullptr;         // likewise; nullptr: read in place
  const std::uint64_t* words = nullptr;  // by row; nullptr: all columns of all rows
  std::uint64_t tail = 0;                // the columns that are keys

  // The columns that a row of [begin, end) attends to.
  std::uint64_t columns(int begin, int end) const {
    if (words == nullptr) return tail;
    std::uint64_t any = 0;
    for (int r = begin; r < end; ++r) any |= words[r];
    return any & tail;
  }
};

// The key blocks of a step that some of its rows attend to.
struct TouchedBlocks {
  int count = 0;
  const StepBlock* blocks[kStepBlocks];
  int columns[kStepBlocks];  // up to the last active one
  const std::uint64_t* words[kStepBlocks];
  std::uint64_t tails[kStepBlocks];

  // all: at most kStepBlocks.
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
