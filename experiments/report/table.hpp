#pragma once

#include <span>

#include "experiments/report/text_table.hpp"
#include "experiments/results/cell_result.hpp"

namespace maskerade {

// The results of one workload under one check as a table, in their order: a heading on the
// workload, then one row each. Successful results that differ only in mask_seed share a row with
// their means, and one with their standard deviations under it; their oracle error, ± and n are the
// worst. Columns in which no row has anything to show are left out: preparing that is below half a
// percent of the total in every row, the mass on sampled keys where nothing samples. Under a row
// stand its remarks, such as why it failed; under the table what note_on_ruler() says. Requires at
// least one result.
TextTable table_of(std::span<const CellResult> results);

}  // namespace maskerade
