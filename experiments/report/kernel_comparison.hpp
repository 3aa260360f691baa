#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// How `auto` did beside kernels named by hand on the same cells, by plan + attend.
class KernelComparison {
 public:
  // The results of one workload under one check.
  void add(std::span<const CellResult> results);

  std::size_t cells() const noexcept { return cells_; }  // that could be compared
  double worst() const noexcept { return worst_; }       // auto / the best by hand; 0 without cells

  // One line: "auto took at worst 1.04 x the best kernel named by hand, in 24 cells (prefill, topk
  // budget=2%: tiles 82%, dense 18% against rows)". "" without cells.
  std::string text() const;

 private:
  std::size_t cells_ = 0;
  double worst_ = 0;
  std::string where_;
};

}  // namespace maskerade
