#pragma once

#include <string>
#include <vector>

#include "experiments/compare/side.hpp"

namespace maskerade::compare {

// One cell of a side as its runs measured it.
struct CellRuns {
  std::vector<const CellResult*> by_run;  // one a run of the side; nullptr: that run lacks it

  // The first of those that are there. Requires one.
  const CellResult& first() const;
};

struct CellPair {
  CellRuns a;
  CellRuns b;
};

// The cells of two sides, which must outlive this.
struct CellPairs {
  std::vector<CellPair> pairs;  // in the order of A
  std::vector<CellRuns> only_a;
  std::vector<CellRuns> only_b;
};

// What a cell is, as a text: its data, shape, maskers with their parameters, routes, match, device,
// kernel, threads, chunk and seed. Not in it: the program, the plugins' libraries, the machine, the
// cost model, check and measure, the names of experiment, workload and pipeline, what a search
// found, and the folder of a data file.
std::string identity_of(const CellResult& cell);

// Pairs cells that are the same: first those of equal identity and names; then, of what is left,
// those of an identity that either side has once; then those whose data could not be loaded on one
// side, by their names. Where a run has a cell several times, they are paired in their order.
CellPairs pair_cells(const Side& a, const Side& b);

}  // namespace maskerade::compare
