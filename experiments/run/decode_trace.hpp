#pragma once

#include <cstdint>
#include <vector>

#include "attention/research_attention.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/run/dense_reference.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// The steps of a decode trace on a backend, and what each is measured against.
struct TraceReference {
  struct Step {
    AttentionInputs inputs;
    DenseReference dense;  // good while the backend shows these inputs
  };

  // The oracle's rows are drawn from those of all steps. The workload and the backend outlive it.
  TraceReference(Backend& backend,
                 const Workload& workload,
                 const CheckSpec& check,
                 const Threads& threads);

  AttentionShape shape;    // of the whole trace: query_len counts its steps
  AttentionInputs prompt;  // what pipelines are prepared on
  std::vector<Step> steps;
};

// What a trace is measured on and against.
struct TraceContext {
  Backend& backend;
  const TraceReference& reference;
  DType dtype;
  const CheckSpec& check;
  const MeasureSpec& measure;
  const RunOptions& options;
};

// Measures and checks one pipeline over a decode trace, on any backend: prepares it on the prompt,
// repeatedly, for at most half of the budget; then each step is a cell (run_cell) whose preparation
// appends the step's key and value, and truncates them again outside the timed region. A step has
// an equal share of what is left of the budget, but is repeated three times at least. Then the key
// and value stay. The checks are those of run_cell. Fills `result`; sets it to failed, with the
// reason, when a check does not hold. Throws what a stage throws.
void run_trace_cell(const TraceContext& context,
                    const ResearchAttention& attention,
                    std::uint64_t mask_seed,
                    CellResult& result);

// The same for the dense reference by itself.
void run_dense_trace_cell(const TraceContext& context, CellResult& result);

}  // namespace maskerade
