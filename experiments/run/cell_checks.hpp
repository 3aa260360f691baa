#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attention/attention_output.hpp"
#include "experiments/measure/oracle_check.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/repetitions.hpp"
#include "experiments/run/run_cell.hpp"

namespace maskerade {

// Makes a result failed, unless an earlier check has already: the first that does not hold names
// the cause.
void fail(CellResult& result, const std::string& reason);

// Attends once more by the dense reference, into `dense`: what anything wrote to q, k or v shows.
// Adds the oracle errors of the dense reference and of the cell's kernel to those of the result,
// and makes it failed when an output changed or an error is above its tolerance. `where` is put
// before the place of a bad row: "step 3, ".
void check_against_dense(const CellContext& context,
                         const OracleError& error,
                         std::string_view kernel,
                         std::string_view where,
                         AttentionOutput& dense,
                         CellResult& result);

// Makes the result failed when repetitions did not select alike.
void check_selections(const Repeated& repeated, CellResult& result);
// Makes the result failed when its fidelity is NaN.
void check_fidelity(CellResult& result);

// What a selection and attending by its plan read, attainable_ms apart.
CostFacts cost_of(const Selection& selection, const Plan& plan, DType dtype);
// The same for the last of repetitions. The least time is present when peaks are.
CostFacts cost_of(const CellContext& context, const Repeated& repeated);
CostFacts cost_of_dense(const CellContext& context);

}  // namespace maskerade
