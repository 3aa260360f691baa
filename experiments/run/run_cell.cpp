#include "experiments/run/run_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "attention/cpu/attend.hpp"
#include "experiments/measure/fidelity.hpp"
#include "experiments/measure/stopping_rule.hpp"
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

// One interleaved repetition: the dense reference, then the four stages.
std::optional<Made> repeat(const CellContext& context,
                           const ResearchAttention& attention,
                           const PipelineOptions& options,
                           AttentionOutput& dense,
                           AttentionOutput& sparse,
                           Samples& samples) {
  const AttentionInputs& inputs = context.inputs;
  const Threads& threads = context.options.threads;
  std::optional<PreparedPipeline> prepared;
  std::optional<Selection> selection;
  std::optional<Plan> plan;
  samples.dense.push_back(time_ms([&] { attend(inputs, context.dense.plan, threads, dense); }));
  const double prepare_ms =
      time_ms([&] { prepared.emplace(attention.prepare(inputs, options, threads)); });
  const double select_ms = time_ms([&] { selection.emplace(prepared->select(threads)); });
  const double plan_ms =
      time_ms([&] { plan.emplace(attention.plan(selection->mask, inputs.shape, threads)); });
  const double attend_ms = time_ms([&] { attend(inputs, *plan, threads, sparse); });
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
  return cost;
}

// The checks that every cell has in common, and the oracle's numbers.
void check_against_dense(const CellContext& context,
                         const AttentionOutput& dense,
                         const OracleError& error,
                         std::string_view kernel,
                         CellResult& result) {
  const AttentionShape& shape = context.inputs.shape;
  if (!same_floats(dense.out, context.dense.output.out)) {
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
  const Stopwatch cell;
  StoppingRule rule(context.measure.target, context.measure.budget_ms);
  AttentionOutput dense;
  AttentionOutput sparse;
  Samples samples;
  std::optional<Made> made;
  bool same_mask = true;
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) {
    Samples unused;
    made = repeat(context, attention, options, dense, sparse, unused);
  }
  while (!rule.is_done(cell.elapsed_ms())) {
    std::optional<Made> next = repeat(context, attention, options, dense, sparse, samples);
    rule.add(samples.total.back(), samples.dense.back());
    same_mask = same_mask && next->selection.mask == made->selection.mask;
    made = std::move(next);
  }

  const Mask& mask = made->selection.mask;
  result.kernel_mix = name_of(made->plan.kernel);
  result.counts = count_whole_problem(mask, inputs.shape);
  result.cost = cost_of(*made, context.dtype);
  result.times = summarize_stages(samples, result);
  result.fidelity = measure_fidelity(inputs, mask, sparse, context.dense.output, threads);
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
  const Summary summary = summarize(rule.dense_ms());
  result.kernel_mix = name_of(context.dense.plan.kernel);
  result.counts = count_whole_problem(context.dense.mask, context.inputs.shape);
  result.cost = CostFacts{.kv_bytes_touched = context.dense.plan.kv_bytes_touched(context.dtype)};
  result.times = StageTimes{
      .attend = summary, .total = summary, .dense = summary, .repetitions = summary.repetitions};
  result.fidelity =
      compare_outputs(context.inputs.shape, output, context.dense.output, {output.lse, output.lse});
  check_against_dense(context, output, context.dense.oracle, result.kernel_mix, result);
}

}  // namespace maskerade
