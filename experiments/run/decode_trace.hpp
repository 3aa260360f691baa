#pragma once

#include <cstdint>
#include <vector>

#include "attention/research_attention.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/run/dense_reference.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// The steps of a decode trace and what each is measured against.
struct TraceReference {
  struct Step {
    AttentionInputs inputs;
    DenseReference dense;
  };

  // The oracle's rows are drawn from those of all steps. The workload outlives it.
  TraceReference(const Workload& workload, const CheckSpec& check, const Threads& threads);

  AttentionShape shape;    // of the whole trace: query_len its steps
  AttentionInputs prompt;  // what pipelines are prepared on
  std::vector<Step> steps;
};

// What a trace is measured against.
struct TraceContext {
  const TraceReference& reference;
  DType dtype;
  const MeasureSpec& measure;
  const RunOptions& options;
};

// Measures and checks one pipeline over a decode trace: prepares it on the prompt, repeatedly, for
// at most half of the budget; then goes through the steps. A repetition of a step appends its key
// and value, selects, plans and attends, beside the dense reference, and truncates again outside
// the timed region; a step has an equal share of what is left of the budget, but is repeated three
// times at least. Then the key and value stay. The checks are those of run_cell. Fills `result`;
// sets it to failed, with the reason, when a check does not hold. Throws what a stage throws.
void run_trace_cell(const TraceContext& context,
                    const ResearchAttention& attention,
                    std::uint64_t mask_seed,
                    CellResult& result);

// The same for the dense reference by itself.
void run_dense_trace_cell(const TraceContext& context, CellResult& result);

}  // namespace maskerade
