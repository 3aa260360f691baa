#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// What a run that was stopped says: "interrupted: 66 of 184 done; continue with --resume"; without
// a folder of results "interrupted: 66 of 184 done; with --out a run can be continued".
std::string interrupted_text(std::size_t done, std::size_t cells, bool has_folder);

// A cell that an earlier run left in the folder and this run does not have, beside this run's cell
// of the same workload, pipeline, device, kernel and seed.
struct OlderCell {
  const CellResult* older = nullptr;
  const CellResult* current = nullptr;  // nullptr: this run has none
};

// Those of the cells that have no number, each beside the numbered one with the same experiment,
// workload, pipeline, device, kernel and seed. They point into `cells`.
std::vector<OlderCell> older_cells_among(std::span<const CellResult> cells);

// What makes the cells of a pair differ, of: the program, the machine, the threads, the cost model,
// the plugins, the parameters, the data, the check. "data or check" where all that is stored
// agrees: the contents of files and a few settings stand in the key alone. One entry says where
// this run has no such cell.
std::vector<std::string> differences_of(const OlderCell& cell);

// "36 older cells do not match this run (cost model changed) and are kept with cell = NULL"; the
// reasons of all cells, in the order of differences_of(). "" for no cells.
std::string older_cells_text(std::span<const OlderCell> cells);

}  // namespace maskerade
