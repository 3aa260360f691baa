#pragma once

#include <cstdint>
#include <numbers>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"

namespace maskerade::detail {

// Subtracts ln p from the logits of a key block's sampled entries, so that their weights become 1 /
// p times as large. scores[rows][kScoreStride] are those of rows row ... row + rows - 1 of the row
// block, from the key block's first column on; unit * score is the logit in units of log 2.
inline void weigh_samples(
    const CpuPlan& plan, const KeyBlock& block, int row, int rows, float unit, float* scores) {
  for (std::int64_t s = block.samples_begin; s < block.samples_end; ++s) {
    const PlannedSample& sample = plan.samples[static_cast<std::size_t>(s)];
    if (sample.row < row || sample.row >= row + rows) continue;
    scores[(sample.row - row) * kScoreStride + sample.column] -=
        static_cast<float>(sample.log_probability * std::numbers::log2e / unit);
  }
}

}  // namespace maskerade::detail
