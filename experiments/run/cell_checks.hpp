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

// Adds what comparing the cell's kernel with the oracle gave to the result, and makes it failed
// when a row errs more than it may. `where` is put before the place of that row: "step 3, ". Does
// nothing without rows.
void check_oracle(const AttentionShape& shape,
                  const OracleComparison& kernel,
                  std::string_view kernel_name,
                  std::string_view where,
                  CellResult& result);
// Makes the result failed when the oracle could judge none of the rows that it was compared with.
void check_decidable(CellResult& result);

// Compares the output of the last repetition with the oracle, as above, and adds how far the dense
// reference is from the oracle: a cell does not fail for its reference, which has a cell of its
// own. Attends once more by the dense reference, so that what anything wrote to q, k or v shows.
// mask: that the repetitions selected. The tolerance of the result becomes that of the kernel.
void check_kernel(const CellContext& context,
                  const Mask& mask,
                  const RepetitionResult& repetitions,
                  std::string_view where,
                  CellResult& result);
// The same for the cell of the dense reference itself.
void check_dense_kernel(const CellContext& context, std::string_view where, CellResult& result);

// States the base of the allowances that the result is judged by.
void set_tolerance(const CheckSpec& check, DType arithmetic, CellResult& result);

// Makes the result failed when the repetitions did not select alike, or when the mask that the
// kernels read is no longer the one that was selected.
void check_selections(const RepetitionResult& repetitions, CellResult& result);
// Makes the result failed when its fidelity is NaN.
void check_fidelity(CellResult& result);

// What maskers and attending read, without the required work.
CostFacts cost_of(const std::vector<MaskerReport>& maskers,
                  const Plan& plan,
                  const AttentionShape& shape,
                  DType dtype);
// The same for the last of some repetitions, with the required work.
CostFacts cost_of(const CellContext& context, const RepetitionResult& repetitions);
CostFacts cost_of_dense(const CellContext& context);

}  // namespace maskerade
