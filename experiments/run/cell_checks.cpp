#include "experiments/run/cell_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "attention/cpu/attend.hpp"
#include "experiments/measure/required_work.hpp"

namespace maskerade {
namespace {

bool same_floats(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void require_tolerance(std::string_view kernel,
                       std::string_view where,
                       const AttentionShape& shape,
                       const OracleError& error,
                       CellResult& result) {
  // Negated so that NaN fails.
  if (error.worst <= result.tolerance) return;
  fail(result,
       fmt::format("{} differs from the float64 oracle by {:.3g} at {}{}; the tolerance is "
                   "{:.3g}",
                   kernel, error.worst, where, describe_row(shape, error.row), result.tolerance));
}

// The larger one, NaN above all.
double worse(double a, double b) { return std::isnan(a) || a > b ? a : b; }

std::optional<double> attainable_ms(const CellContext& context, const Mask& mask) {
  if (!context.options.peaks) return std::nullopt;
  const std::int64_t active = count_whole_problem(mask, context.inputs.shape).active_entries;
  return required_work(mask, context.inputs.shape, context.dtype, active)
      .attainable_ms(
          peaks_for(*context.options.peaks, context.dtype, context.inputs.shape.head_dim));
}

}  // namespace

void fail(CellResult& result, const std::string& reason) {
  if (result.status == CellStatus::kFailed) return;
  result.status = CellStatus::kFailed;
  result.reason = reason;
}

void check_unchanged(const AttentionOutput& now,
                     const AttentionOutput& before,
                     CellResult& result) {
  if (same_floats(now.out, before.out) && same_floats(now.lse, before.lse)) return;
  fail(result, "the dense reference changed while the cell ran: something wrote to q, k or v");
}

void check_oracle(const AttentionShape& shape,
                  const OracleErrors& errors,
                  std::string_view where,
                  CellResult& result) {
  if (errors.rows == 0) return;
  OracleFacts facts = result.oracle.value_or(OracleFacts{});
  facts.rows += errors.rows;
  facts.error = worse(errors.kernel.worst, facts.error);
  facts.dense_error = worse(errors.dense.worst, facts.dense_error);
  result.oracle = facts;
  require_tolerance("the dense reference", where, shape, errors.dense, result);
  require_tolerance(fmt::format("the {} kernel", errors.kernel_name), where, shape, errors.kernel,
                    result);
}

void check_against_dense(const CellContext& context,
                         const OracleError& error,
                         std::string_view kernel,
                         std::string_view where,
                         AttentionOutput& dense,
                         CellResult& result) {
  const DenseReference& reference = context.dense;
  attend(context.inputs, reference.plan, context.options.threads, dense);
  check_unchanged(dense, reference.output, result);
  check_oracle(context.inputs.shape,
               {.rows = static_cast<std::int64_t>(reference.oracle_rows.size()),
                .dense = reference.oracle,
                .kernel = error,
                .kernel_name = kernel},
               where, result);
}

void check_selections(bool same_mask, CellResult& result) {
  if (same_mask) return;
  fail(result,
       "the selection differs between repetitions with the same seed: a masker depends on "
       "something that is not an input");
}

void check_fidelity(CellResult& result) {
  if (std::isnan(result.fidelity->rel_l2_error) || std::isnan(result.fidelity->attention_recall)) {
    fail(result, fmt::format("the output of the {} kernel holds NaN", result.kernel_mix));
  }
}

CostFacts cost_of(const std::vector<MaskerReport>& maskers,
                  std::int64_t kv_bytes_touched,
                  std::int64_t row_bytes) {
  CostFacts cost;
  for (const MaskerReport& masker : maskers) {
    cost.keys_scored += masker.keys_scored;
    cost.select_bytes_read += masker.bytes_read;
    cost.index_bytes += masker.index_bytes;
    cost.index_spans_future = cost.index_spans_future || masker.index_spans_future;
  }
  cost.kv_bytes_touched = kv_bytes_touched;
  cost.total_bytes = cost.select_bytes_read + kv_bytes_touched + row_bytes;
  return cost;
}

CostFacts cost_of(const Selection& selection, const Plan& plan, DType dtype) {
  return cost_of(selection.maskers, plan.kv_bytes_touched(dtype), row_bytes(plan.shape, dtype));
}

CostFacts cost_of(const CellContext& context, const Repeated& repeated) {
  CostFacts cost = cost_of(repeated.selection, repeated.plan, context.dtype);
  cost.attainable_ms = attainable_ms(context, repeated.selection.mask);
  return cost;
}

CostFacts cost_of_dense(const CellContext& context) {
  const std::int64_t kv_bytes = context.dense.plan.kv_bytes_touched(context.dtype);
  return {.kv_bytes_touched = kv_bytes,
          .total_bytes = kv_bytes + row_bytes(context.inputs.shape, context.dtype),
          .attainable_ms = attainable_ms(context, context.dense.mask)};
}

}  // namespace maskerade
