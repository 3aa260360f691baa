#include "experiments/run/run_cell.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "experiments/measure/fidelity.hpp"
#include "experiments/measure/peak_memory.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/head_densities.hpp"
#include "experiments/run/repetitions.hpp"
#include "experiments/run/routed_pipeline.hpp"

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
  std::optional<PreparedPipeline> prepared;
  const Readying readying{.make = [&]() -> const PreparedPipeline& {
                            return prepared.emplace(attention.prepare(inputs, options, threads));
                          },
                          .undo = [&] { prepared.reset(); }};
  Repeated repeated = repeat_interleaved(context, attention, readying, 1);
  result.peak_bytes = peak.bytes();
  const Mask& mask = repeated.selection.mask;
  result.kernel_mix = repeated.plan.kernel_mix();
  result.counts = count_whole_problem(mask, inputs.shape);
  result.cost = cost_of(context, repeated);
  result.times = summarize_stages(repeated.samples, result);
  result.fidelity = measure_fidelity(inputs, mask, repeated.sparse, context.dense.output, threads);
  result.heads = heads_of(mask, inputs.shape, *result.fidelity);
  name_routes(attention.pipeline(), result.heads);
  check_fidelity(result);
  check_selections(repeated.same_mask, result);
  const OracleError error =
      compare_with_oracle(inputs, mask, repeated.sparse, context.dense.oracle_rows, threads);
  check_against_dense(context, error, result.kernel_mix, "", repeated.dense, result);
}

void run_dense_cell(const CellContext& context, CellResult& result) {
  const PeakMemory peak;
  AttentionOutput output;
  const Summary summary = summarize(repeat_dense(context, 1, output));
  result.peak_bytes = peak.bytes();
  result.kernel_mix = context.dense.plan.kernel_mix();
  result.counts = count_whole_problem(context.dense.mask, context.inputs.shape);
  result.cost = cost_of_dense(context);
  result.times = StageTimes{
      .attend = summary, .total = summary, .dense = summary, .repetitions = summary.repetitions};
  result.fidelity =
      compare_outputs(context.inputs.shape, output, context.dense.output, {output.lse, output.lse});
  result.heads = heads_of(context.dense.mask, context.inputs.shape, *result.fidelity);
  check_against_dense(context, context.dense.oracle, result.kernel_mix, "", output, result);
}

}  // namespace maskerade
