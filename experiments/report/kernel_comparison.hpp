#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// Compares the kernel `auto` with the kernels that the experiment names, on cells that are the same
// but for the kernel, by the time of plan + attend.
class KernelComparison {
 public:
  // Takes the results of one workload under one check.
  void add(std::span<const CellResult> results);

  // The cells of `auto` beside which a named kernel ran.
  std::size_t cells() const noexcept { return cells_; }
  // The largest quotient of the time of `auto` over that of the best named kernel; 0 without cells.
  double worst() const noexcept { return worst_; }

  // A text in lines of at most `width` characters that ends with a line break: "auto took at
  // worst 1.04 x the best kernel named by hand, plan and attend, in 24 cells (prefill, topk
  // budget=2%: tiles 82%, dense 18% against rows)". "" without cells.
  std::string text(std::size_t width) const;

 private:
  std::size_t cells_ = 0;
  double worst_ = 0;
  std::string where_;  // the cell of worst_: "prefill, topk budget=2%: tiles against rows"
};

}  // namespace maskerade
