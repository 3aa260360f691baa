#pragma once

#include <cstdint>
#include <vector>

#include "attention/cpu/cpu_plan.hpp"

namespace maskerade::detail {

// The results of tasks that see a part of a row block's keys, until they are united.
class PartResults {
 public:
  explicit PartResults(std::int64_t head_dim) : head_dim_(head_dim) {}

  // rows: of a part, at most. At decode they are few, and clearing memory for more of them took
  // longer than attending.
  void resize(std::int64_t parts, std::int64_t rows);
  float* out(std::int64_t part, std::int64_t row) {
    return out_.data() + (part * rows_ + row) * head_dim_;
  }
  // -inf: the part has no key of the row, and out is not read.
  double& lse(std::int64_t part, std::int64_t row) {
    return lse_[static_cast<std::size_t>(part * rows_ + row)];
  }

  // Unites a row of parts first ... first + parts - 1, in this order, into out[head_dim]; gives its
  // lse.
  float merge(std::int64_t first, std::int64_t parts, std::int64_t row, float* out) const;

 private:
  std::int64_t head_dim_;
  std::int64_t rows_ = 0;
  std::vector<float> out_;   // [parts][rows][head_dim]
  std::vector<double> lse_;  // [parts][rows]; float32 would round the weights of the parts
};

}  // namespace maskerade::detail
