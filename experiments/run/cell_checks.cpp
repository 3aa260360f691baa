#include "experiments/run/cell_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "attention/reference/row_judgement.hpp"
#include "experiments/measure/required_work.hpp"
#include "framework/base/saturate.hpp"

namespace maskerade {
namespace {

bool same_floats(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Adds how far the dense reference is from the oracle, and sees to it that it gives what it gave.
void check_reference(const CellContext& context, CellResult& result) {
  const DenseReference& reference = context.dense;
  AttentionOutput now;
  reference.attend(context.backend, now);
  check_unchanged(now, reference.output, result);
  if (reference.oracle.rows == 0) return;
  OracleFacts& facts = result.oracle.emplace(result.oracle.value_or(OracleFacts{}));
  facts.dense_error = std::max(facts.dense_error, reference.oracle.error);
  facts.dense_quotient = std::max(facts.dense_quotient, reference.oracle.quotient);
}

// Adds the least work with which any kernel can attend over the mask.
void add_required_work(const CellContext& context, const Mask& mask, CostFacts& cost) {
  const AttentionShape& shape = context.inputs().shape;
  const std::int64_t active = count_whole_problem(mask, shape).active_entries;
  const RequiredWork work = required_work(mask, shape, context.dtype, active);
  cost.required_flops = work.flops;
  cost.required_bytes = work.bytes;
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
                  const OracleComparison& kernel,
                  std::string_view kernel_name,
                  std::string_view where,
                  CellResult& result) {
  if (kernel.rows == 0) return;
  OracleFacts& facts = result.oracle.emplace(result.oracle.value_or(OracleFacts{}));
  facts.rows += kernel.rows;
  facts.undecidable_rows += kernel.undecidable_rows;
  facts.error = std::max(facts.error, kernel.error);
  facts.condition = std::max(facts.condition, kernel.condition);
  if (kernel.quotient >= facts.quotient) {
    facts.quotient = kernel.quotient;
    facts.allowance = kernel.worst_allowance;
  }
  if (kernel.quotient <= 1) return;
  fail(result,
       fmt::format("the {} kernel differs from the float64 oracle by {:.3g} at {}{}, where "
                   "{:.3g} is allowed (tolerance {:.3g})",
                   kernel_name, kernel.worst_error, where, describe_row(shape, kernel.worst_row),
                   kernel.worst_allowance, result.tolerance));
}

void check_decidable(CellResult& result) {
  if (!result.oracle || result.oracle->rows > result.oracle->undecidable_rows) return;
  fail(result, fmt::format("no row can be judged: the data amplifies rounding {:.3g}-fold, and in "
                           "all of the {} rows that were compared with the float64 oracle a right "
                           "kernel may err by more than {}",
                           result.oracle->condition, result.oracle->rows, kWidestAllowance));
}

void check_kernel(const CellContext& context,
                  const Mask& mask,
                  const RepetitionResult& repetitions,
                  std::string_view where,
                  CellResult& result) {
  const Plan& plan = *repetitions.planned.plan;
  const AttentionInputs& inputs = context.inputs();
  set_tolerance(context.check, plan.arithmetic(), result);
  check_reference(context, result);
  check_oracle(inputs.shape,
               compare_with_oracle(inputs, mask, repetitions.output, context.dense.oracle_rows,
                                   result.tolerance, context.options.threads),
               plan.kernel_mix(), where, result);
}

void check_dense_kernel(const CellContext& context, std::string_view where, CellResult& result) {
  const Plan& plan = *context.dense.planned.plan;
  set_tolerance(context.check, plan.arithmetic(), result);
  check_reference(context, result);
  check_oracle(context.inputs().shape, context.dense.oracle, plan.kernel_mix(), where, result);
}

void set_tolerance(const CheckSpec& check, DType arithmetic, CellResult& result) {
  result.tolerance = tolerance_of(check, arithmetic);
  result.tolerance_is_loosened = result.tolerance > base_allowance(arithmetic);
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
    cost.keys_scored = saturating_sum(cost.keys_scored, masker.keys_scored);
    cost.select_bytes_read = saturating_sum(cost.select_bytes_read, masker.bytes_read);
    cost.index_bytes = saturating_sum(cost.index_bytes, masker.index_bytes);
    cost.index_spans_future = cost.index_spans_future || masker.index_spans_future;
  }
  cost.kv_bytes_touched = plan.kv_bytes_touched();
  cost.total_bytes =
      saturating_sum(cost.select_bytes_read, cost.kv_bytes_touched + row_bytes(shape, dtype));
  return cost;
}

CostFacts cost_of(const CellContext& context, const RepetitionResult& repetitions) {
  CostFacts cost = cost_of(repetitions.selected->maskers(), *repetitions.planned.plan,
                           context.inputs().shape, context.dtype);
  add_required_work(context, repetitions.selected->on_host(), cost);
  return cost;
}

CostFacts cost_of_dense(const CellContext& context) {
  CostFacts cost = cost_of({}, *context.dense.planned.plan, context.inputs().shape, context.dtype);
  add_required_work(context, context.dense.mask(), cost);
  return cost;
}

}  // namespace maskerade
