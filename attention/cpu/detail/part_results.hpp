#pragma once

#include <cstdint>
#include <vector>

#include "attention/cpu/cpu_plan.hpp"

namespace maskerade::detail {

// The results of tasks that attend to a part of a row block's keys (Task::part), until merge()
// unites them. Tasks may write different parts from several threads.
class PartResults {
 public:
  explicit PartResults(std::int64_t head_dim) : head_dim_(head_dim) {}

  // Makes room for `parts` parts of up to `rows` rows and forgets the parts before. Rationale: rows
  // is given and not kMaxRows, since at decode it is small, and clearing memory for kMaxRows took
  // longer than attending.
  void resize(std::int64_t parts, std::int64_t rows);
  // The row's output within the part, [head_dim].
  float* out(std::int64_t part, std::int64_t row) {
    return out_.data() + (part * rows_ + row) * head_dim_;
  }
  // The row's lse within the part, natural log; -inf when the part has no active key of the row,
  // and its out is then not read.
  double& lse(std::int64_t part, std::int64_t row) {
    return lse_[static_cast<std::size_t>(part * rows_ + row)];
  }

  // Writes out[head_dim] of a row over the keys of parts first ... first + parts - 1 and returns
  // its lse: zeros and -inf when no part has a key. Sums in this order, in float64.
  float merge(std::int64_t first, std::int64_t parts, std::int64_t row, float* out) const;

 private:
  std::int64_t head_dim_;
  std::int64_t rows_ = 0;
  std::vector<float> out_;  // [parts][rows][head_dim]
  // [parts][rows]. Rationale: float64, since rounding an lse would change the weight of its part.
  std::vector<double> lse_;
};

}  // namespace maskerade::detail
