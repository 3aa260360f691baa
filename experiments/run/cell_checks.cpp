#include "experiments/run/cell_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

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

// The least time that any kernel needs for the mask; absent where the result has no peaks.
std::optional<double> attainable_ms(const CellContext& context,
                                    const Mask& mask,
                                    const CellResult& result) {
  if (!result.peaks) return std::nullopt;
  const AttentionShape& shape = context.inputs().shape;
  const std::int64_t active = count_whole_problem(mask, shape).active_entries;
  return required_work(mask, shape, context.dtype, active).attainable_ms(*result.peaks);
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
                         CellResult& result) {
  const DenseReference& reference = context.dense;
  AttentionOutput now;
  reference.attend(context.backend, now);
  check_unchanged(now, reference.output, result);
  check_oracle(context.inputs().shape,
               {.rows = static_cast<std::int64_t>(reference.oracle_rows.size()),
                .dense = reference.oracle,
                .kernel = error,
                .kernel_name = kernel},
               where, result);
}

void check_selections(const RepetitionResult& repetitions, CellResult& result) {
  if (!repetitions.same_mask) {
    fail(result,
         "the selection differs between repetitions with the same seed: a masker depends on "
         "something that is not an input");
  }
  if (!repetitions.selected->is_intact()) fail(result, "the mask changed on the device");
}

void check_fidelity(CellResult& result) {
  if (std::isnan(result.fidelity->rel_l2_error) || std::isnan(result.fidelity->attention_recall)) {
    fail(result, fmt::format("the output of the {} kernel holds NaN", result.kernel_mix));
  }
}

CostFacts cost_of(const std::vector<MaskerReport>& maskers,
                  const Plan& plan,
                  const AttentionShape& shape,
                  DType dtype) {
  CostFacts cost;
  for (const MaskerReport& masker : maskers) {
    cost.keys_scored += masker.keys_scored;
    cost.select_bytes_read += masker.bytes_read;
    cost.index_bytes += masker.index_bytes;
    cost.index_spans_future = cost.index_spans_future || masker.index_spans_future;
  }
  cost.kv_bytes_touched = plan.kv_bytes_touched();
  cost.total_bytes = cost.select_bytes_read + cost.kv_bytes_touched + row_bytes(shape, dtype);
  return cost;
}

CostFacts cost_of(const CellContext& context,
                  const RepetitionResult& repetitions,
                  const CellResult& result) {
  CostFacts cost = cost_of(repetitions.selected->maskers(), *repetitions.planned.plan,
                           context.inputs().shape, context.dtype);
  cost.attainable_ms = attainable_ms(context, repetitions.selected->on_host(), result);
  return cost;
}

CostFacts cost_of_dense(const CellContext& context, const CellResult& result) {
  CostFacts cost = cost_of({}, *context.dense.planned.plan, context.inputs().shape, context.dtype);
  cost.attainable_ms = attainable_ms(context, context.dense.mask(), result);
  return cost;
}

}  // namespace maskerade
