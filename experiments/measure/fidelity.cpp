#include "experiments/measure/fidelity.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/cpu_plan.hpp"
#include "experiments/measure/statistics.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/set_operations.hpp"

namespace maskerade {
namespace {

// Squared L2 norms: of the difference of two vectors, and of the reference.
struct Squares {
  double difference = 0;
  double reference = 0;

  double relative_error() const {
    if (difference == 0) return 0;
    return reference > 0 ? std::sqrt(difference / reference)
                         : std::numeric_limits<double>::infinity();
  }
};

Squares squares_of(std::span<const float> sparse, std::span<const float> dense) {
  Squares squares;
  for (std::size_t i = 0; i < sparse.size(); ++i) {
    const double difference = static_cast<double>(sparse[i]) - dense[i];
    squares.difference += difference * difference;
    squares.reference += static_cast<double>(dense[i]) * dense[i];
  }
  return squares;
}

// The share of a row's mass that a part of its keys has, from the logarithms of both masses: in
// [0, 1], 0 for a part without keys, NaN where one of them is NaN.
double share_of(float part, float whole) {
  const double share = std::exp(static_cast<double>(part) - whole);
  return share > 1 ? 1 : share;
}

bool has_keys(float lse) { return lse != -std::numeric_limits<float>::infinity(); }

// The lse of attention over a mask, [batch, query_heads, query_len].
std::vector<float> lse_over(const AttentionInputs& inputs,
                            const Mask& mask,
                            const Threads& threads) {
  AttentionOutput output;
  attend(inputs, make_cpu_plan(mask, inputs.shape, std::nullopt, threads), threads, output);
  return std::move(output.lse);
}

}  // namespace

Fidelity compare_outputs(const AttentionShape& shape,
                         const AttentionOutput& sparse,
                         const AttentionOutput& dense,
                         const MaskMass& mass) {
  const std::size_t rows = static_cast<std::size_t>(shape.rows());
  if (sparse.lse.size() != rows || dense.lse.size() != rows || mass.bits.size() != rows ||
      mass.support.size() != rows || sparse.out.size() != dense.out.size()) {
    throw ShapeError("outputs to compare are not all of shape " + shape.to_string());
  }
  Fidelity fidelity;
  Squares whole;
  std::vector<double> by_head;
  const std::size_t heads = static_cast<std::size_t>(shape.batch * shape.query_heads);
  const std::size_t head_size = static_cast<std::size_t>(shape.query_len * shape.head_dim);
  for (std::size_t head = 0; head < heads; ++head) {
    const Squares squares = squares_of(std::span(sparse.out).subspan(head * head_size, head_size),
                                       std::span(dense.out).subspan(head * head_size, head_size));
    whole.difference += squares.difference;
    whole.reference += squares.reference;
    by_head.push_back(squares.relative_error());
    fidelity.heads.push_back({.rel_l2_error = by_head.back()});
  }
  fidelity.rel_l2_error = whole.relative_error();
  fidelity.rel_l2_error_median_head = quantile(by_head, 0.5);
  fidelity.rel_l2_error_p95_head = quantile(by_head, 0.95);
  fidelity.rel_l2_error_max_head = quantile(by_head, 1.0);

  double recall = 0;
  double sampled = 0;
  double lse_error = 0;
  std::size_t rows_with_keys = 0;
  std::size_t rows_with_both = 0;
  const std::size_t query_len = static_cast<std::size_t>(shape.query_len);
  for (std::size_t head = 0; head < heads; ++head) {
    double head_recall = 0;
    std::size_t head_rows = 0;
    for (std::size_t row = head * query_len; row < (head + 1) * query_len; ++row) {
      if (!has_keys(dense.lse[row])) continue;
      ++head_rows;
      const double bits = share_of(mass.bits[row], dense.lse[row]);
      head_recall += bits;
      const double apart = share_of(mass.support[row], dense.lse[row]) - bits;
      sampled += apart < 0 ? 0 : apart;
      if (!has_keys(sparse.lse[row])) continue;
      ++rows_with_both;
      lse_error += std::abs(static_cast<double>(sparse.lse[row]) - dense.lse[row]);
    }
    recall += head_recall;
    rows_with_keys += head_rows;
    if (head_rows > 0) {
      fidelity.heads[head].attention_recall = head_recall / static_cast<double>(head_rows);
    }
  }
  if (rows_with_keys > 0) {
    fidelity.attention_recall = recall / static_cast<double>(rows_with_keys);
    fidelity.sampled_share = sampled / static_cast<double>(rows_with_keys);
  }
  fidelity.lse_error = rows_with_both > 0 ? lse_error / static_cast<double>(rows_with_both)
                                          : std::numeric_limits<double>::quiet_NaN();
  return fidelity;
}

RowMasses masses_of(const AttentionInputs& inputs,
                    const Mask& mask,
                    const AttentionOutput& sparse,
                    const Threads& threads) {
  if (!mask.has_sampled()) return {sparse.lse, sparse.lse};
  return {lse_over(inputs, deterministic_part(mask), threads),
          lse_over(inputs, support_of(mask), threads)};
}

Fidelity measure_fidelity(const AttentionInputs& inputs,
                          const Mask& mask,
                          const AttentionOutput& sparse,
                          const AttentionOutput& dense,
                          const Threads& threads) {
  const RowMasses masses = masses_of(inputs, mask, sparse, threads);
  return compare_outputs(inputs.shape, sparse, dense, {masses.bits, masses.support});
}

}  // namespace maskerade
