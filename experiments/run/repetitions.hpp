#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "attention/attention_output.hpp"
#include "attention/research_attention.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/run_cell.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {

// Calls body and returns its wall time in milliseconds.
template <typename Body>
double time_ms(Body&& body) {
  const Stopwatch stopwatch;
  body();
  return stopwatch.elapsed_ms();
}

// What a repetition selects with.
struct Readying {
  // Makes a pipeline ready for the context's inputs; the first timed stage.
  std::function<const PreparedPipeline&()> make;
  // Undoes that, after everything of the repetition; not timed.
  std::function<void()> undo;
};

// The times of the stages, one a repetition, in milliseconds.
struct StageSamples {
  std::vector<double> ready;  // Readying::make
  std::vector<double> select, plan, attend, dense;
  std::vector<double> total;  // ready + select + plan + attend
  std::vector<std::vector<double>> select_by_masker;
};

// What repetitions gave. Selection, plan and outputs are those of the last one.
struct Repeated {
  StageSamples samples;
  Selection selection;
  Plan plan;
  AttentionOutput sparse;
  AttentionOutput dense;
  bool same_mask = true;  // in every repetition
};

// Repeats, after a warm-up, until the context's stopping rule is met, `least` times at least. A
// repetition runs the dense reference, and makes a pipeline ready, selects, plans and attends;
// which of the two comes first alternates, because what comes second finds K and V in the cache.
// The dense reference's plan is the context's and not timed. Throws what a stage throws.
Repeated repeat_interleaved(const CellContext& context,
                            const ResearchAttention& attention,
                            const Readying& readying,
                            std::size_t least);

// The times of the stages, the first one as prepare. result: that names the maskers.
StageTimes summarize_stages(const StageSamples& samples, const CellResult& result);

// The times of attending by the dense reference alone, repeated likewise, and the last output.
std::vector<double> repeat_dense(const CellContext& context,
                                 std::size_t least,
                                 AttentionOutput& output);

}  // namespace maskerade
