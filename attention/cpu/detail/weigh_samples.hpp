#pragma once

#include <cstdint>
#include <numbers>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"

namespace maskerade::detail {

// Weights the sampled entries of a key block by 1 / p in rows [row, row + rows) of its row block:
// the logit of scores[row of these][kScoreStride] is unit * score, in units of log 2.
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
