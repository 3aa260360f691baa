#pragma once

#include <functional>
#include <memory>

#include "experiments/run/run_cell.hpp"

namespace maskerade {

// Prepares a loaded pipeline for the inputs that a CellContext's backend shows.
using Preparation = std::function<std::unique_ptr<PreparedSelection>(const LoadedPipeline&)>;

// Searches the value of a parameter, and returns the attention with the parameter of `match` set to
// the value, in its ParameterRange, whose measured quantity is nearest to the target; unchanged,
// with nothing found, where every head takes a route. A probe makes what the quantity needs:
// load, prepare and select for density; plan and, for errors and recall, attend besides; for
// total_ms all stages but load, repeated until the median is known to 5 % or a tenth of the cell's
// time budget is spent. Fills result.match and the parameter in result.params. Throws what a stage
// throws. options: that pipelines are loaded with.
ResearchAttention match_cell(const CellContext& context,
                             const ResearchAttention& attention,
                             const PipelineOptions& options,
                             const Preparation& prepare,
                             const MatchSpec& match,
                             CellResult& result);

}  // namespace maskerade
