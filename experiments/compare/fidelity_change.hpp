#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/compare/cell_pairs.hpp"
#include "experiments/compare/ratio_estimate.hpp"

namespace maskerade::compare {

// An output error counts as changed where it is larger or smaller by more than this share, and by
// more than kErrorFloor: what another order of float32 sums makes of it.
inline constexpr double kErrorMargin = 0.01;
inline constexpr double kErrorFloor = 1e-6;
// A recall counts as changed from this difference on.
inline constexpr double kRecallMargin = 1e-3;
// The oracle's quotient counts as changed where it is above this and more than doubled.
inline constexpr double kQuotientFloor = 0.1;

// What a cell's results became in B, its times apart. Each text names a quantity with both values.
struct FidelityChange {
  std::vector<std::string> worse;
  std::vector<std::string> better;
  bool has_other_mask = false;  // the masks' counts differ

  bool is_worse() const { return !worse.empty(); }
};

// The change of a cell from A to B. judges_error: whether output error and recall are looked at.
FidelityChange change_of(const CellResult& a, const CellResult& b, bool judges_error);

// How the output error of a pipeline changed over the windows (workloads, layers, seeds) that both
// sides have, paired window by window.
struct QualityChange {
  std::string pipeline;  // and its device and kernel where these are not cpu and auto
  std::size_t windows = 0;
  bool is_random = false;    // its error depends on the seed
  RatioEstimate ratio = {};  // of the errors, B over A, each plus kErrorFloor
  // The probability of such a change where there is none, adjusted for all pipelines.
  double adjusted_probability = 1;
  bool is_worse = false;
  bool is_better = false;
};

// The pipelines with two windows or more. One is worse, or better, where the adjusted probability
// is at most `error` and the mean change is beyond kErrorMargin.
std::vector<QualityChange> quality_changes(std::span<const CellPair> pairs, double error);

// The pairs of which the output error depends on the seed: on either side another seed of the same
// workload and pipeline has another error. One draw of these says little: quality_changes() judges
// them.
std::vector<bool> random_pairs(std::span<const CellPair> pairs);

}  // namespace maskerade::compare
