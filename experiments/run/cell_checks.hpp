#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "experiments/measure/oracle_check.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/repetitions.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// Makes a result failed, unless an earlier check has already: the first that does not hold names
// the cause.
void fail(CellResult& result, const std::string& reason);

// Makes the result failed when the dense reference does not give what it gave before.
void check_unchanged(const AttentionOutput& now, const AttentionOutput& before, CellResult& result);

// The oracle errors of the dense reference and of a kernel, over `rows` rows.
struct OracleErrors {
  std::int64_t rows = 0;
  OracleError dense;
  OracleError kernel;
  std::string_view kernel_name;
};
// Adds them to those of the result, and makes it failed when one is above its tolerance. `where` is
// put before the place of a bad row: "step 3, ". Does nothing without rows.
void check_oracle(const AttentionShape& shape,
                  const OracleErrors& errors,
                  std::string_view where,
                  CellResult& result);

// Attends once more by the dense reference, so that what anything wrote to q, k or v shows; then
// both checks above. error: that of the cell's kernel, by the name `kernel`.
void check_against_dense(const CellContext& context,
                         const OracleError& error,
                         std::string_view kernel,
                         std::string_view where,
                         CellResult& result);

// Makes the result failed when the repetitions did not select alike, or when the mask that the
// kernels read is no longer the one that was selected.
void check_selections(const RepetitionResult& repetitions, CellResult& result);
// Makes the result failed when its fidelity is NaN.
void check_fidelity(CellResult& result);

// What maskers and attending read. attainable_ms is absent.
CostFacts cost_of(const std::vector<MaskerReport>& maskers,
                  const Plan& plan,
                  const AttentionShape& shape,
                  DType dtype);
// The same for the last of some repetitions; attainable_ms is present when the result has peaks.
CostFacts cost_of(const CellContext& context,
                  const RepetitionResult& repetitions,
                  const CellResult& result);
CostFacts cost_of_dense(const CellContext& context, const CellResult& result);

}  // namespace maskerade
