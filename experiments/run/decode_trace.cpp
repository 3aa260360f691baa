#include "experiments/run/decode_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "experiments/measure/peak_memory.hpp"
#include "experiments/measure/stopping_rule.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/repetitions.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "experiments/run/trace_totals.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kLeastRepetitions = 3;  // of a step

// Of the rows of a whole trace those of one step, numbered as that step's problem does.
std::vector<std::int64_t> rows_of_step(const std::vector<std::int64_t>& rows,
                                       std::int64_t steps,
                                       std::int64_t step) {
  std::vector<std::int64_t> of_step;
  for (const std::int64_t row : rows) {
    if (row % steps == step) of_step.push_back(row / steps);
  }
  return of_step;
}

// How long the step may be repeated: its share of what is left.
MeasureSpec share_of_step(const TraceContext& context, std::size_t step, double elapsed_ms) {
  const auto left = static_cast<double>(context.reference.steps.size() - step);
  return {.target = context.measure.target,
          .budget_ms = std::max(context.measure.budget_ms - elapsed_ms, 0.0) / left};
}

std::string place_of(std::size_t step) { return fmt::format("step {}, ", step); }

// Prepares again and again; the last pipeline is the one that goes on.
PreparedPipeline prepare_repeatedly(const TraceContext& context,
                                    const ResearchAttention& attention,
                                    const PipelineOptions& options,
                                    Summary& summary) {
  const Stopwatch elapsed;
  StoppingRule rule(context.measure.target, context.measure.budget_ms / 2);
  std::optional<PreparedPipeline> prepared;
  const auto run = [&] {
    prepared.reset();
    return time_ms([&] {
      prepared.emplace(
          attention.prepare(context.reference.prompt, options, context.options.threads));
    });
  };
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) run();
  while (!rule.is_done(elapsed.elapsed_ms())) {
    const double ms = run();
    rule.add(ms, ms);
  }
  summary = summarize(rule.sparse_ms());
  return std::move(*prepared);
}

StageTimes summarize_step(const StageSamples& samples, const CellResult& result) {
  StageTimes times = summarize_stages(samples, result);
  times.append = std::exchange(times.prepare, std::nullopt);
  return times;
}

}  // namespace

TraceReference::TraceReference(const Workload& workload,
                               const CheckSpec& check,
                               const Threads& threads)
    : shape(workload.shape), prompt(workload.prompt_inputs()) {
  const std::vector<std::int64_t> rows = oracle_sample(shape, check.oracle_rows);
  for (std::int64_t step = 0; step < shape.query_len; ++step) {
    const AttentionInputs inputs = workload.step_inputs(step);
    steps.push_back(
        {inputs, DenseReference(inputs, rows_of_step(rows, shape.query_len, step), threads)});
  }
}

void run_trace_cell(const TraceContext& context,
                    const ResearchAttention& attention,
                    std::uint64_t mask_seed,
                    CellResult& result) {
  const TraceReference& reference = context.reference;
  const Threads& threads = context.options.threads;
  const PipelineOptions options{.seed = mask_seed, .chunk_rows = context.options.chunk_rows};
  const PeakMemory peak;
  const Stopwatch elapsed;
  TraceTotals totals(reference.shape);
  Summary prepare;
  PreparedPipeline prepared = prepare_repeatedly(context, attention, options, prepare);
  for (std::size_t i = 0; i < reference.steps.size(); ++i) {
    const AttentionInputs& inputs = reference.steps[i].inputs;
    const DenseReference& dense = reference.steps[i].dense;
    const AttentionInputs& before = i == 0 ? reference.prompt : reference.steps[i - 1].inputs;
    const MeasureSpec measure = share_of_step(context, i, elapsed.elapsed_ms());
    const CellContext step{inputs, context.dtype, dense, measure, context.options};
    const Readying readying{.make = [&]() -> const PreparedPipeline& {
                              prepared.append(inputs, threads);
                              return prepared;
                            },
                            .undo = [&] { prepared.truncate(before, threads); }};
    Repeated repeated = repeat_interleaved(step, attention, readying, kLeastRepetitions);
    prepared.append(inputs, threads);
    const Mask& mask = repeated.selection.mask;
    totals.add(step, {.mask = mask,
                      .plan = repeated.plan,
                      .sparse = repeated.sparse,
                      .masses = masses_of(inputs, mask, repeated.sparse, threads),
                      .cost = cost_of(step, repeated),
                      .times = summarize_step(repeated.samples, result)});
    check_selections(repeated.same_mask, result);
    const OracleError error =
        compare_with_oracle(inputs, mask, repeated.sparse, dense.oracle_rows, threads);
    check_against_dense(step, error, repeated.plan.kernel_mix(), place_of(i), repeated.dense,
                        result);
  }
  result.peak_bytes = peak.bytes();
  totals.write(prepare, result);
  name_routes(attention.pipeline(), result.heads);
  check_fidelity(result);
}

void run_dense_trace_cell(const TraceContext& context, CellResult& result) {
  const TraceReference& reference = context.reference;
  const PeakMemory peak;
  const Stopwatch elapsed;
  TraceTotals totals(reference.shape);
  AttentionOutput output;
  for (std::size_t i = 0; i < reference.steps.size(); ++i) {
    const auto& [inputs, dense] = reference.steps[i];
    const MeasureSpec measure = share_of_step(context, i, elapsed.elapsed_ms());
    const CellContext step{inputs, context.dtype, dense, measure, context.options};
    const Summary summary = summarize(repeat_dense(step, kLeastRepetitions, output));
    totals.add(step, {.mask = dense.mask,
                      .plan = dense.plan,
                      .sparse = output,
                      .masses = {output.lse, output.lse},
                      .cost = cost_of_dense(step),
                      .times = {.attend = summary,
                                .total = summary,
                                .dense = summary,
                                .repetitions = summary.repetitions}});
    check_against_dense(step, dense.oracle, dense.plan.kernel_mix(), place_of(i), output, result);
  }
  result.peak_bytes = peak.bytes();
  totals.write(std::nullopt, result);
}

}  // namespace maskerade
