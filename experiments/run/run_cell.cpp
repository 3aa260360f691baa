#include "experiments/run/run_cell.hpp"

#include <memory>
#include <vector>

#include "experiments/measure/fidelity.hpp"
#include "experiments/measure/machine_load.hpp"
#include "experiments/measure/peak_memory.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/head_densities.hpp"
#include "experiments/run/repetitions.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/mask/count_copies.hpp"

namespace maskerade {

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
  return count_copies(
      mask, (shape.batch / mask.extent().batch) * (shape.query_heads / mask.extent().heads));
}

void check_stopped(const RunOptions& options) {
  if (options.is_stopped()) throw RunStopped();
}

void run_cell(const CellContext& context,
              const ResearchAttention& attention,
              std::uint64_t mask_seed,
              CellResult& result) {
  const AttentionInputs& inputs = context.inputs();
  const Threads& threads = context.options.threads;
  const PipelineOptions options{.seed = mask_seed, .chunk_rows = context.options.chunk_rows};
  const PeakMemory peak;
  const MachineLoad load;
  const Stopwatch loading;
  const LoadedPipeline loaded = attention.load(context.backend, options);
  const double load_ms = loading.elapsed_ms();
  std::unique_ptr<PreparedSelection> prepared;
  const PreparationStep step{.run = [&]() -> PreparedSelection& {
                               prepared = context.backend.prepare(loaded);
                               return *prepared;
                             },
                             .undo = [&] { prepared.reset(); }};
  RepetitionResult repetitions = repeat_interleaved(context, attention, step, 1);
  result.peak_bytes = peak.bytes();
  result.load = load.finish();
  const Mask& mask = repetitions.selected->on_host();
  const AttentionOutput& sparse = repetitions.output;
  result.selection_device = repetitions.selection_device;
  result.device_timing = repetitions.device_timing;
  result.kernel_mix = repetitions.planned.plan->kernel_mix();
  result.counts = count_whole_problem(mask, inputs.shape);
  result.cost = cost_of(context, repetitions);
  result.times = summarize_stages(repetitions.samples, result);
  result.times->load_ms = load_ms;
  result.samples = series_of(repetitions.samples);
  result.fidelity =
      compare_outputs(inputs.shape, sparse, context.dense.output, row_masses(inputs, mask, threads),
                      context.dense.masses.weighted);
  result.heads = heads_of(mask, inputs.shape, *result.fidelity);
  name_routes(attention.pipeline(), result.heads);
  check_fidelity(result);
  check_selections(repetitions, result);
  check_kernel(context, mask, repetitions, "", result);
  check_decidable(result);
}

void run_dense_cell(const CellContext& context, CellResult& result) {
  const PeakMemory peak;
  const MachineLoad load;
  const DenseReference& dense = context.dense;
  const AttentionShape& shape = context.inputs().shape;
  const std::vector<double> dense_ms = repeat_dense(context, 1, result.device_timing);
  const Summary summary = summarize(dense_ms);
  result.samples = series_of({.dense = dense_ms});
  result.peak_bytes = peak.bytes();
  result.load = load.finish();
  AttentionOutput output;
  dense.attend(context.backend, output);
  result.kernel_mix = dense.planned.plan->kernel_mix();
  result.counts = count_whole_problem(dense.mask(), shape);
  result.cost = cost_of_dense(context);
  result.times = StageTimes{
      .attend = summary, .total = summary, .dense = summary, .repetitions = summary.repetitions};
  result.fidelity =
      compare_outputs(shape, output, dense.output, dense.masses, dense.masses.weighted);
  result.heads = heads_of(dense.mask(), shape, *result.fidelity);
  check_dense_kernel(context, "", result);
  check_decidable(result);
}

}  // namespace maskerade
