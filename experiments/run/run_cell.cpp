#include "experiments/run/run_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "attention/cpu/attend.hpp"
#include "experiments/measure/fidelity.hpp"
#include "experiments/measure/peak_memory.hpp"
#include "experiments/measure/required_work.hpp"
#include "experiments/measure/stopping_rule.hpp"
#include "experiments/run/head_densities.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

// Calls body and returns its wall time in milliseconds.
template <typename Body>
double time_ms(Body&& body) {
  const Stopwatch stopwatch;
  body();
  return stopwatch.elapsed_ms();
}

// The samples of one stage over the repetitions.
struct Samples {
  std::vector<double> prepare, select, plan, attend, total, dense;
  std::vector<std::vector<double>> select_by_masker;
};

// What one repetition made, kept for the checks.
struct Made {
  Selection selection;
  Plan plan;
};

void fail(CellResult& result, const std::string& reason) {
  // The first check that does not hold names the cause.
  if (result.status == CellStatus::kFailed) return;
  result.status = CellStatus::kFailed;
  result.reason = reason;
}

bool same_floats(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void require_tolerance(std::string_view kernel,
                       const AttentionShape& shape,
                       const OracleError& error,
                       CellResult& result) {
  // Negated so that NaN fails.
  if (error.worst <= result.tolerance) return;
  fail(result,
       fmt::format("{} differs from the float64 oracle by {:.3g} at {}; the tolerance is {:.3g}",
                   kernel, error.worst, describe_row(shape, error.row), result.tolerance));
}

// One interleaved repetition: the dense reference and the four stages, in turn first, because what
// comes second finds K and V in the cache.
std::optional<Made> repeat(const CellContext& context,
                           const ResearchAttention& attention,
                           const PipelineOptions& options,
                           bool is_dense_first,
                           AttentionOutput& dense,
                           AttentionOutput& sparse,
                           Samples& samples) {
  const AttentionInputs& inputs = context.inputs;
  const Threads& threads = context.options.threads;
  std::optional<PreparedPipeline> prepared;
  std::optional<Selection> selection;
  std::optional<Plan> plan;
  const auto run_dense = [&] {
    samples.dense.push_back(time_ms([&] { attend(inputs, context.dense.plan, threads, dense); }));
  };
  if (is_dense_first) run_dense();
  const double prepare_ms =
      time_ms([&] { prepared.emplace(attention.prepare(inputs, options, threads)); });
  const double select_ms = time_ms([&] { selection.emplace(prepared->select(threads)); });
  const double plan_ms =
      time_ms([&] { plan.emplace(attention.plan(selection->mask, inputs, threads)); });
  const double attend_ms = time_ms([&] { attend(inputs, *plan, threads, sparse); });
  if (!is_dense_first) run_dense();
  samples.prepare.push_back(prepare_ms);
  samples.select.push_back(select_ms);
  samples.plan.push_back(plan_ms);
  samples.attend.push_back(attend_ms);
  samples.total.push_back(prepare_ms + select_ms + plan_ms + attend_ms);
  samples.select_by_masker.resize(selection->maskers.size());
  for (std::size_t i = 0; i < selection->maskers.size(); ++i) {
    samples.select_by_masker[i].push_back(selection->maskers[i].select_ms);
  }
  return Made{std::move(*selection), std::move(*plan)};
}

StageTimes summarize_stages(const Samples& samples, const CellResult& result) {
  StageTimes times{.prepare = summarize(samples.prepare),
                   .select = summarize(samples.select),
                   .select_by_masker = {},
                   .plan = summarize(samples.plan),
                   .attend = summarize(samples.attend),
                   .total = summarize(samples.total),
                   .dense = summarize(samples.dense),
                   .repetitions = static_cast<std::int64_t>(samples.total.size())};
  for (std::size_t i = 0; i < samples.select_by_masker.size(); ++i) {
    times.select_by_masker.emplace_back(result.params.at(i).first,
                                        summarize(samples.select_by_masker[i]).median);
  }
  return times;
}

CostFacts cost_of(const Made& made, DType dtype) {
  CostFacts cost;
  for (const MaskerReport& masker : made.selection.maskers) {
    cost.keys_scored += masker.keys_scored;
    cost.select_bytes_read += masker.bytes_read;
    cost.index_bytes += masker.index_bytes;
    cost.index_spans_future = cost.index_spans_future || masker.index_spans_future;
  }
  cost.kv_bytes_touched = made.plan.kv_bytes_touched(dtype);
  cost.total_bytes =
      cost.select_bytes_read + cost.kv_bytes_touched + row_bytes(made.plan.shape, dtype);
  return cost;
}

std::optional<double> attainable_ms(const CellContext& context,
                                    const Mask& mask,
                                    const CellResult& result) {
  if (!context.options.peaks) return std::nullopt;
  return required_work(mask, context.inputs.shape, context.dtype, result.counts->active_entries)
      .attainable_ms(*context.options.peaks);
}

// The checks that every cell has in common, and the oracle's numbers.
void check_against_dense(const CellContext& context,
                         const AttentionOutput& dense,
                         const OracleError& error,
                         std::string_view kernel,
                         CellResult& result) {
  const AttentionShape& shape = context.inputs.shape;
  if (!same_floats(dense.out, context.dense.output.out) ||
      !same_floats(dense.lse, context.dense.output.lse)) {
    fail(result, "the dense reference changed while the cell ran: something wrote to q, k or v");
  }
  if (context.dense.oracle_rows.empty()) return;
  result.oracle = OracleFacts{.rows = static_cast<std::int64_t>(context.dense.oracle_rows.size()),
                              .error = error.worst,
                              .dense_error = context.dense.oracle.worst};
  require_tolerance("the dense reference", shape, context.dense.oracle, result);
  require_tolerance(fmt::format("the {} kernel", kernel), shape, error, result);
}

}  // namespace

std::vector<HeadResult> heads_of(const Mask& mask,
                                 const AttentionShape& shape,
                                 const Fidelity& fidelity) {
  const std::vector<double> densities = head_densities(mask, shape);
  std::vector<HeadResult> heads;
  for (std::size_t i = 0; i < fidelity.heads.size(); ++i) {
    const auto number = static_cast<std::int64_t>(i);
    heads.push_back({.batch = number / shape.query_heads,
                     .head = number % shape.query_heads,
                     .density = densities[i],
                     .recall = fidelity.heads[i].attention_recall,
                     .rel_l2_error = fidelity.heads[i].rel_l2_error});
  }
  return heads;
}

MaskCounts count_whole_problem(const Mask& mask, const AttentionShape& shape) {
  MaskCounts counts = count(mask);
  const std::int64_t copies =
      (shape.batch / mask.extent().batch) * (shape.query_heads / mask.extent().heads);
  for (std::int64_t* value :
       {&counts.active_entries, &counts.sampled_entries, &counts.visible_entries,
        &counts.tiles_full, &counts.tiles_partial, &counts.tiles_empty, &counts.empty_rows}) {
    *value *= copies;
  }
  return counts;
}

void run_cell(const CellContext& context,
              const ResearchAttention& attention,
              std::uint64_t mask_seed,
              CellResult& result) {
  const AttentionInputs& inputs = context.inputs;
  const Threads& threads = context.options.threads;
  const PipelineOptions options{.seed = mask_seed, .chunk_rows = context.options.chunk_rows};
  const PeakMemory peak;
  const Stopwatch cell;
  StoppingRule rule(context.measure.target, context.measure.budget_ms);
  AttentionOutput dense;
  AttentionOutput sparse;
  Samples samples;
  std::optional<Made> made;
  bool same_mask = true;
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) {
    Samples unused;
    made = repeat(context, attention, options, true, dense, sparse, unused);
  }
  while (!rule.is_done(cell.elapsed_ms())) {
    const bool is_dense_first = samples.total.size() % 2 == 1;
    std::optional<Made> next =
        repeat(context, attention, options, is_dense_first, dense, sparse, samples);
    rule.add(samples.total.back(), samples.dense.back());
    same_mask = same_mask && next->selection.mask == made->selection.mask;
    made = std::move(next);
  }

  result.peak_bytes = peak.bytes();
  // Once more after all selections: what any of them wrote to q, k or v shows.
  attend(inputs, context.dense.plan, threads, dense);
  const Mask& mask = made->selection.mask;
  result.kernel_mix = made->plan.kernel_mix();
  result.counts = count_whole_problem(mask, inputs.shape);
  result.cost = cost_of(*made, context.dtype);
  result.cost->attainable_ms = attainable_ms(context, mask, result);
  result.times = summarize_stages(samples, result);
  result.fidelity = measure_fidelity(inputs, mask, sparse, context.dense.output, threads);
  result.heads = heads_of(mask, inputs.shape, *result.fidelity);
  if (std::isnan(result.fidelity->rel_l2_error) || std::isnan(result.fidelity->attention_recall)) {
    fail(result, fmt::format("the output of the {} kernel holds NaN", result.kernel_mix));
  }
  if (!same_mask) {
    fail(result,
         "the selection differs between repetitions with the same seed: a masker depends on "
         "something that is not an input");
  }
  check_against_dense(context, dense,
                      compare_with_oracle(inputs, mask, sparse, context.dense.oracle_rows, threads),
                      result.kernel_mix, result);
}

void run_dense_cell(const CellContext& context, CellResult& result) {
  const PeakMemory peak;
  const Stopwatch cell;
  StoppingRule rule(context.measure.target, context.measure.budget_ms);
  AttentionOutput output;
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) {
    attend(context.inputs, context.dense.plan, context.options.threads, output);
  }
  while (!rule.is_done(cell.elapsed_ms())) {
    const double ms = time_ms(
        [&] { attend(context.inputs, context.dense.plan, context.options.threads, output); });
    rule.add(ms, ms);
  }
  result.peak_bytes = peak.bytes();
  const Summary summary = summarize(rule.dense_ms());
  result.kernel_mix = context.dense.plan.kernel_mix();
  result.counts = count_whole_problem(context.dense.mask, context.inputs.shape);
  const std::int64_t kv_bytes = context.dense.plan.kv_bytes_touched(context.dtype);
  result.cost = CostFacts{.kv_bytes_touched = kv_bytes,
                          .total_bytes = kv_bytes + row_bytes(context.inputs.shape, context.dtype),
                          .attainable_ms = attainable_ms(context, context.dense.mask, result)};
  result.times = StageTimes{
      .attend = summary, .total = summary, .dense = summary, .repetitions = summary.repetitions};
  result.fidelity =
      compare_outputs(context.inputs.shape, output, context.dense.output, {output.lse, output.lse});
  result.heads = heads_of(context.dense.mask, context.inputs.shape, *result.fidelity);
  check_against_dense(context, output, context.dense.oracle, result.kernel_mix, result);
}

}  // namespace maskerade
