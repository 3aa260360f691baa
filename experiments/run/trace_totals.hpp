#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "attention/backend/backend.hpp"
#include "experiments/measure/fidelity.hpp"
#include "experiments/measure/statistics.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// The measurements of one step of a decode trace.
struct StepOutcome {
  const Mask& mask;
  const Plan& plan;
  const AttentionOutput& sparse;
  const RowMasses& masses;
  CostFacts cost;
  StageTimes times;  // without prepare; total: the sum of what each repetition took
};

// Puts the steps of a decode trace together as one cell. The steps are the queries of its rows: a
// density, a fidelity, a count is what it would be of one problem with all of these rows. Times and
// costs are means over the steps, see StageTimes and CostFacts.
class TraceTotals {
 public:
  // shape: of the whole trace, query_len its steps.
  explicit TraceTotals(const AttentionShape& shape);

  // The next step. context: its inputs, one query, and its dense reference.
  void add(const CellContext& context, const StepOutcome& outcome);

  // Writes the totals, once all steps are added. prepare: the time of preparing on the prompt,
  // which the dense reference does not have.
  void write(const std::optional<Summary>& prepare, CellResult& result) const;

 private:
  // Copies a step's values [batch, query_heads, width] to their places in
  // all[batch, query_heads, steps, width].
  template <typename Numbers>
  void place(const Numbers& values, std::int64_t width, Numbers& all) const;
  StageTimes times(const std::optional<Summary>& prepare) const;
  CostFacts costs() const;

  AttentionShape shape_;
  std::vector<StepResult> steps_;
  std::vector<StageTimes> times_;
  std::vector<CostFacts> costs_;
  MaskCounts counts_;
  std::vector<double> densities_;           // of all rows
  std::vector<double> head_active_;         // entries, [batch, query_heads]
  double visible_ = 0;                      // entries of a head
  std::vector<KernelShare> kernel_shares_;  // of all plans
  AttentionOutput sparse_;
  AttentionOutput dense_;
  RowMasses masses_;
  std::vector<double> dense_lse_;
};

}  // namespace maskerade
