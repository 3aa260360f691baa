#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/compare/cell_pairs.hpp"
#include "experiments/compare/fidelity_change.hpp"
#include "experiments/compare/side.hpp"
#include "experiments/compare/verdict.hpp"

namespace maskerade::compare {

// Whose time is compared.
enum class Stage { kTotal, kPrepare, kSelect, kPlan, kAttend, kDense };
std::string_view name_of(Stage stage) noexcept;  // "total", "prepare", ...
std::optional<Stage> parse_stage(std::string_view name) noexcept;

// What of a run's repetitions stands for the run.
enum class Typical {
  kMedian,
  kLeast,  // the shortest, which other programs disturb less
};

// What is compared of a run.
struct Quantity {
  Stage stage = Stage::kTotal;
  Typical typical = Typical::kMedian;
};

// That time of a cell; nullopt where it has none.
std::optional<double> time_ms(const CellResult& cell, const Quantity& quantity);

// A time below this many milliseconds says more of the clock than of the cell.
inline constexpr double kLeastMs = 1e-3;
// Of single runs, how many cells with a dense reference are needed to tell how far two runs differ.
inline constexpr std::size_t kLeastControls = 6;

struct CompareOptions {
  Quantity quantity = {};
  // Times are divided by those of the dense reference in the same cell and run: for runs at
  // different times, or on machines of different speed.
  bool uses_ruler = false;
  // Run i of A and run i of B were taken side by side.
  bool is_paired = false;
  VerdictRule rule = {};
};

// A cell of both sides.
struct ComparedCell {
  const CellResult* a = nullptr;  // of the side's first run that has it, as b
  const CellResult* b = nullptr;
  std::optional<double> a_ms =
      {};  // median over the runs; by the ruler: over the dense reference's
  std::optional<double> b_ms = {};
  std::size_t runs = 0;  // that were timed, of the side that has fewer
  std::optional<RatioEstimate> estimate = {};
  double probability = 1;           // corrected_probability(); 1 where there is no estimate
  double adjusted_probability = 1;  // for all cells
  Verdict verdict = Verdict::kUnclear;
  std::string reason = {};  // why there is no estimate; else empty
  FidelityChange fidelity = {};
};

// What comparing gave. It points into the two sides, which must outlive it.
struct Comparison {
  // Those of both sides, but for cells with the same results that have no such stage, or are the
  // ruler.
  std::vector<ComparedCell> cells;
  std::vector<const CellResult*> only_a;
  std::vector<const CellResult*> only_b;
  std::vector<QualityChange> quality;
  // Of single runs: the ratio of the dense references, B over A, and how far they scatter; what
  // stands for the difference of two runs of one build. nullopt where runs of a side tell it.
  std::optional<RatioEstimate> control = {};

  std::size_t count(Verdict verdict) const;
  std::size_t worse() const;  // cells and pipelines
  // Whether a cell is slower, or anything worse.
  bool has_regression() const { return count(Verdict::kSlower) + worse() > 0; }
};

// Compares two sides. How a ratio is known:
//   - paired runs: estimate_of_pairs() of their medians;
//   - two runs or more of each side: estimate_of_runs();
//   - a single run of a side: the medians of the first run, with the bootstrap's error of either;
//     and as the difference between two runs the scatter of log(dense_ms of B / dense_ms of A) over
//     all cells of the device: 1.4826 times the median distance from 0, or with the ruler from
//     their median; without it, too, how far the cell's own dense reference moved. UNCLEAR below
//     kLeastControls of them, and where the least times are compared.
Comparison compare_sides(const Side& a, const Side& b, const CompareOptions& options);

// What a reader must know of the two sides before the ratios: that their machines, programs or
// plugins differ. Each is a sentence; those of other machines begin with "WARNING".
std::vector<std::string> notes_on_sides(const Side& a,
                                        const Side& b,
                                        const Comparison& comparison,
                                        const CompareOptions& options);

}  // namespace maskerade::compare
