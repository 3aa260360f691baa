#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/results/cell_result.hpp"

namespace maskerade::compare {

// The cells that one run of the program measured.
struct Run {
  std::vector<CellResult> cells;
};

// One of the two things that are compared: what one or several runs of a build measured.
struct Side {
  std::string name;  // as the user gave it
  std::vector<Run> runs;
};

// Reads a file of `run --json`. Throws ConfigError, with the line, when it cannot be read.
Run read_json_lines(const std::filesystem::path& file);

// Reads a side: a folder of `run --out` or its results.sqlite, a file of `run --json`, or a folder
// of several of these, each of which is a run, in the order of their names. Cells of other versions
// of the experiment, which have no number, are left out. Samples are there of a single run alone.
// Throws ConfigError when there are no results, or they cannot be read.
Side read_side(const std::filesystem::path& path);

}  // namespace maskerade::compare
