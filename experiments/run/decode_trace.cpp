#include "experiments/run/decode_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "experiments/measure/machine_load.hpp"
#include "experiments/measure/peak_memory.hpp"
#include "experiments/measure/stopping_rule.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/repetitions.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "experiments/run/trace_totals.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kLeastRepetitions = 3;  // of a step

// The oracle rows of one step, renumbered for its one-query problem. rows: of the whole trace.
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
  MeasureSpec share = context.measure;
  share.budget_ms = std::max(context.measure.budget_ms - elapsed_ms, 0.0) / left;
  return share;
}

std::string place_of(std::size_t step) { return fmt::format("step {}, ", step); }

// Prepares on what the backend shows, again and again; the last pipeline is the one that goes on.
std::unique_ptr<PreparedSelection> prepare_repeatedly(const TraceContext& context,
                                                      const LoadedPipeline& loaded,
                                                      Summary& summary) {
  const Stopwatch elapsed;
  StoppingRule rule(context.measure.target, context.measure.budget_ms / 2);
  std::unique_ptr<PreparedSelection> prepared;
  const auto run = [&] {
    prepared.reset();
    return context.backend
        .time(Stage::kPrepare, {}, [&] { prepared = context.backend.prepare(loaded); })
        .ms;
  };
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) run();
  while (!rule.is_done(elapsed.elapsed_ms())) {
    check_stopped(context.options);
    const double ms = run();
    rule.add(ms, ms);
  }
  summary = summarize(rule.sparse_ms());
  return prepared;
}

// How a device timed all steps: its clocks before the first and after the last, and the median of
// what launching costs in each.
class TraceTiming {
 public:
  void add(const std::optional<DeviceTiming>& step) {
    if (!step) return;
    if (!whole_) whole_ = step;
    whole_->after = step->after;
    if (step->launch_ms) launch_ms_.push_back(*step->launch_ms);
  }
  // nullopt for the CPU.
  std::optional<DeviceTiming> whole() {
    if (whole_ && !launch_ms_.empty()) whole_->launch_ms = summarize(launch_ms_).median;
    return whole_;
  }

 private:
  std::optional<DeviceTiming> whole_;
  std::vector<double> launch_ms_;
};

// The first timed stage of a step is appending.
StageTimes summarize_step(const StageSamples& samples, const CellResult& result) {
  StageTimes times = summarize_stages(samples, result);
  times.append = std::exchange(times.prepare, std::nullopt);
  return times;
}

}  // namespace

TraceReference::TraceReference(Backend& backend,
                               const Workload& workload,
                               const CheckSpec& check,
                               const Threads& threads)
    : shape(workload.shape), prompt(workload.prompt_inputs()) {
  const std::vector<std::int64_t> rows = oracle_sample(shape, check.oracle_rows);
  for (std::int64_t step = 0; step < shape.query_len; ++step) {
    const AttentionInputs inputs = workload.step_inputs(step);
    backend.show(inputs);
    steps.push_back({inputs, DenseReference(backend, check,
                                            rows_of_step(rows, shape.query_len, step), threads)});
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
  const MachineLoad load;
  const Stopwatch elapsed;
  TraceTotals totals(reference.shape);
  TraceTiming timing;
  Summary prepare;
  context.backend.show(reference.prompt);
  const Stopwatch loading;
  const LoadedPipeline loaded = attention.load(context.backend, options);
  const double load_ms = loading.elapsed_ms();
  const std::unique_ptr<PreparedSelection> prepared = prepare_repeatedly(context, loaded, prepare);
  for (std::size_t i = 0; i < reference.steps.size(); ++i) {
    const AttentionInputs& inputs = reference.steps[i].inputs;
    const DenseReference& dense = reference.steps[i].dense;
    const AttentionInputs& before = i == 0 ? reference.prompt : reference.steps[i - 1].inputs;
    const MeasureSpec measure = share_of_step(context, i, elapsed.elapsed_ms());
    context.backend.show(inputs);
    const CellContext step{context.backend, context.dtype, dense,
                           context.check,   measure,       context.options};
    const PreparationStep append{.run = [&]() -> PreparedSelection& {
                                   prepared->append(inputs);
                                   return *prepared;
                                 },
                                 .undo = [&] { prepared->truncate(before); }};
    const RepetitionResult repetitions =
        repeat_interleaved(step, attention, append, kLeastRepetitions);
    prepared->append(inputs);
    const Mask& mask = repetitions.selected->on_host();
    const AttentionOutput& sparse = repetitions.output;
    result.selection_device = repetitions.selection_device;
    timing.add(repetitions.device_timing);
    totals.add(step, {.mask = mask,
                      .plan = *repetitions.planned.plan,
                      .sparse = sparse,
                      .masses = row_masses(inputs, mask, threads),
                      .cost = cost_of(step, repetitions),
                      .times = summarize_step(repetitions.samples, result)});
    check_selections(repetitions, result);
    check_kernel(step, mask, repetitions, place_of(i), result);
  }
  result.peak_bytes = peak.bytes();
  result.load = load.finish();
  result.device_timing = timing.whole();
  totals.write(prepare, result);
  result.times->load_ms = load_ms;
  name_routes(attention.pipeline(), result.heads);
  check_fidelity(result);
  check_decidable(result);
}

void run_dense_trace_cell(const TraceContext& context, CellResult& result) {
  const TraceReference& reference = context.reference;
  const PeakMemory peak;
  const MachineLoad load;
  const Stopwatch elapsed;
  TraceTotals totals(reference.shape);
  TraceTiming timing;
  for (std::size_t i = 0; i < reference.steps.size(); ++i) {
    const auto& [inputs, dense] = reference.steps[i];
    const MeasureSpec measure = share_of_step(context, i, elapsed.elapsed_ms());
    context.backend.show(inputs);
    const CellContext step{context.backend, context.dtype, dense,
                           context.check,   measure,       context.options};
    std::optional<DeviceTiming> of_step;
    const Summary summary = summarize(repeat_dense(step, kLeastRepetitions, of_step));
    timing.add(of_step);
    AttentionOutput output;
    dense.attend(context.backend, output);
    totals.add(step, {.mask = dense.mask(),
                      .plan = *dense.planned.plan,
                      .sparse = output,
                      .masses = dense.masses,
                      .cost = cost_of_dense(step),
                      .times = {.attend = summary,
                                .total = summary,
                                .dense = summary,
                                .repetitions = summary.repetitions}});
    check_dense_kernel(step, place_of(i), result);
  }
  result.peak_bytes = peak.bytes();
  result.load = load.finish();
  result.device_timing = timing.whole();
  totals.write(std::nullopt, result);
  check_decidable(result);
}

}  // namespace maskerade
