#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "experiments/compare/comparison.hpp"
#include "experiments/compare/side.hpp"

namespace maskerade::compare {

enum class Build { kA, kB };

// How two builds are alternated. A round runs each cell twice by either build, in the order A B B A
// or B A A B: what drifts steadily hits both alike. Cells take turns in groups, so that a group's
// four turns are seconds apart and the start of the program counts little.
struct AlternationOptions {
  int rounds = 32;        // the most of a cell
  std::size_t group = 8;  // cells that one start of a program runs
  double most_ms = std::numeric_limits<double>::infinity();  // no round of a group begins after
  std::uint64_t seed = 0;                                    // of the orders
};

// After how many rounds the cells are looked at, ascending: all, a half, a quarter, an eighth, but
// no fewer than four. A cell with a verdict gets no further rounds.
std::vector<int> looks_of(int rounds);

// The order of a round of a group: A B B A, or B A A B, by the toss of a coin (Philox). Rationale:
// with a fixed order a disturbance of the same rhythm would favour one build.
std::array<Build, 4> order_of(std::uint64_t seed, std::uint64_t round, std::uint64_t group);

// Runs those cells, by their numbers, and gives their results. run: which run of that build, from
// 0.
using RunCells = std::function<std::vector<CellResult>(
    Build build, std::size_t run, const std::vector<std::int64_t>& cells)>;

// What alternating gave: run i of A and run i of B are a pair.
struct AlternatedRuns {
  Side a;
  Side b;
  int rounds = 0;       // of the cell that got most
  bool is_cut = false;  // time was up, or the user stopped it, before every cell had its rounds
};

// The functions by which alternating tells its caller how it goes.
struct AlternationListener {
  std::function<bool()> is_stopped = [] { return false; };
  // Called before each round of a group: the round, from 1, and how many cells have no verdict yet.
  std::function<void(int round, std::size_t undecided)> on_turn = [](int, std::size_t) {};
};

// Alternates two builds over cells until each has a verdict or its rounds. options: what is
// compared, with looks_of().size() looks. Throws what run_cells throws.
AlternatedRuns alternate(const std::vector<std::int64_t>& cells,
                         const AlternationOptions& alternation,
                         const CompareOptions& options,
                         const RunCells& run_cells,
                         const AlternationListener& listener = {});

}  // namespace maskerade::compare
