#include "experiments/run/cuda_cell.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "experiments/measure/fidelity.hpp"
#include "experiments/measure/peak_memory.hpp"
#include "experiments/measure/required_work.hpp"
#include "experiments/measure/stopping_rule.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/repetitions.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

// What one repetition made, kept for the checks.
struct Made {
  std::string selection_device;
  std::vector<MaskerReport> maskers;
  CudaMask mask;
  CudaPlan plan;
};

// By events where everything is enqueued; else the device waits for maskers on the CPU, and time on
// the wall counts.
double select_ms(CudaAttention& device,
                 const CudaPipeline& pipeline,
                 const Threads& threads,
                 std::optional<CudaMask>& mask) {
  const auto select = [&] { mask.emplace(device.select(pipeline, threads)); };
  if (pipeline.is_all_on_device()) return device.time_ms(select, CudaCache::kCold);
  device.synchronize();
  const Stopwatch watch;
  select();
  device.synchronize();
  return watch.elapsed_ms();
}

// Attends into memory that was overwritten.
double attend_ms(CudaAttention& device, const CudaPlan& plan) {
  device.poison();
  return device.time_ms([&] { device.attend(plan); }, CudaCache::kCold);
}

AttentionOutput attend_once(CudaAttention& device, const CudaPlan& plan) {
  AttentionOutput output;
  device.poison();
  device.attend(plan);
  device.download(plan, output);
  return output;
}

Made repeat(const CudaCellContext& context,
            const Pipeline& pipeline,
            std::optional<Kernel> kernel,
            const PipelineOptions& options,
            bool is_dense_first,
            StageSamples& samples) {
  CudaAttention& device = context.dense.device;
  const Threads& threads = context.options.threads;
  const auto run_dense = [&] { samples.dense.push_back(attend_ms(device, context.dense.plan)); };
  if (is_dense_first) run_dense();
  const Stopwatch prepare;
  const CudaPipeline prepared = device.take(pipeline.prepare(context.inputs, options, threads));
  samples.ready.push_back(prepare.elapsed_ms());
  std::optional<CudaMask> mask;
  samples.select.push_back(select_ms(device, prepared, threads, mask));
  std::optional<CudaPlan> plan;
  samples.plan.push_back(
      device.time_ms([&] { plan.emplace(device.plan(*mask, kernel)); }, CudaCache::kCold));
  samples.attend.push_back(attend_ms(device, *plan));
  if (!is_dense_first) run_dense();
  samples.total.push_back(samples.ready.back() + samples.select.back() + samples.plan.back() +
                          samples.attend.back());
  std::vector<MaskerReport> maskers = mask->maskers();
  samples.select_by_masker.resize(maskers.size());
  for (std::size_t i = 0; i < maskers.size(); ++i) {
    samples.select_by_masker[i].push_back(maskers[i].select_ms);
  }
  return Made{prepared.selection_device(), std::move(maskers), std::move(*mask), std::move(*plan)};
}

CostFacts cost_on(const CudaCellContext& context,
                  const std::vector<MaskerReport>& maskers,
                  const CudaPlan& plan) {
  return cost_of(maskers, plan.kv_bytes_touched(), row_bytes(context.inputs.shape, context.dtype));
}

void check_against_dense(const CudaCellContext& context,
                         const OracleError& error,
                         CellResult& result) {
  CudaReference& dense = context.dense;
  check_unchanged(attend_once(dense.device, dense.plan), dense.output, result);
  check_oracle(context.inputs.shape,
               {.rows = static_cast<std::int64_t>(dense.oracle_rows.size()),
                .dense = dense.oracle,
                .kernel = error,
                .kernel_name = result.kernel_mix},
               "", result);
}

}  // namespace

CudaReference::CudaReference(const AttentionInputs& inputs,
                             const CheckSpec& check,
                             const Threads& threads)
    : device(inputs),
      mask(Mask::full(inputs.visibility)),
      device_mask(device.upload(mask)),
      plan(device.plan(device_mask, Kernel::kDense)),
      output(attend_once(device, plan)),
      oracle_rows(oracle_sample(inputs.shape, check.oracle_rows)),
      oracle(compare_with_oracle(inputs, mask, output, oracle_rows, threads)) {}

std::string cuda_obstacle(const Workload& workload,
                          const Pipeline& pipeline,
                          const CellResult& described) {
  if (!cuda_device().is_available) return cuda_device().reason;
  if (workload.decode_steps > 0) {
    return "decode traces run on the CPU alone; write devices: [cpu]";
  }
  if (described.match && !pipeline.maskers().empty()) {
    return "match searches on the CPU alone; write devices: [cpu]";
  }
  if (workload.shape.head_dim > kMostCudaHeadDim) {
    return fmt::format("head_dim is {}; the CUDA kernels take at most {}", workload.shape.head_dim,
                       kMostCudaHeadDim);
  }
  return "";
}

void describe_cuda(const CheckSpec& check, CellResult& result) {
  if (!cuda_device().is_available) return;
  result.machine += "; " + cuda_device().name;
  result.peaks.reset();
  result.cost_model.clear();
  if (!result.facts) return;
  const double usual =
      tolerance_of(cuda_arithmetic(result.facts->dtype, result.facts->shape.head_dim));
  result.tolerance = check.tolerance.value_or(usual);
  result.tolerance_is_loosened = result.tolerance > usual;
}

void run_cuda_cell(const CudaCellContext& context,
                   const Pipeline& pipeline,
                   std::optional<Kernel> kernel,
                   std::uint64_t mask_seed,
                   CellResult& result) {
  const AttentionInputs& inputs = context.inputs;
  const Threads& threads = context.options.threads;
  const PipelineOptions options{.seed = mask_seed, .chunk_rows = context.options.chunk_rows};
  const PeakMemory peak;
  const Stopwatch cell;
  StoppingRule rule(context.measure.target, context.measure.budget_ms);
  StageSamples samples;
  std::optional<Made> made;
  Mask mask = Mask::empty(inputs.visibility);
  bool same_mask = true;
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) {
    StageSamples unused;
    made = repeat(context, pipeline, kernel, options, true, unused);
  }
  mask = made->mask.download();
  while (!rule.is_done(cell.elapsed_ms())) {
    const bool is_dense_first = samples.total.size() % 2 == 1;
    Made next = repeat(context, pipeline, kernel, options, is_dense_first, samples);
    rule.add(samples.total.back(), samples.dense.back());
    same_mask = same_mask && next.mask.download() == mask;
    made = std::move(next);
  }
  result.peak_bytes = peak.bytes();
  result.selection_device = made->selection_device;
  const AttentionOutput sparse = attend_once(context.dense.device, made->plan);
  result.kernel_mix = made->plan.kernel_name();
  result.counts = count_whole_problem(mask, inputs.shape);
  result.cost = cost_on(context, made->maskers, made->plan);
  result.times = summarize_stages(samples, result);
  result.fidelity = measure_fidelity(inputs, mask, sparse, context.dense.output, threads);
  result.heads = heads_of(mask, inputs.shape, *result.fidelity);
  name_routes(pipeline, result.heads);
  check_fidelity(result);
  check_selections(same_mask, result);
  if (made->mask.download() != mask) fail(result, "the mask changed on the device");
  check_against_dense(context,
                      compare_with_oracle(inputs, mask, sparse, context.dense.oracle_rows, threads),
                      result);
}

void run_cuda_dense_cell(const CudaCellContext& context, CellResult& result) {
  const PeakMemory peak;
  const Stopwatch cell;
  CudaReference& dense = context.dense;
  StoppingRule rule(context.measure.target, context.measure.budget_ms);
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) attend_ms(dense.device, dense.plan);
  while (!rule.is_done(cell.elapsed_ms())) {
    const double ms = attend_ms(dense.device, dense.plan);
    rule.add(ms, ms);
  }
  result.peak_bytes = peak.bytes();
  const Summary summary = summarize(rule.dense_ms());
  result.kernel_mix = dense.plan.kernel_name();
  result.counts = count_whole_problem(dense.mask, context.inputs.shape);
  result.cost = cost_on(context, {}, dense.plan);
  result.times = StageTimes{
      .attend = summary, .total = summary, .dense = summary, .repetitions = summary.repetitions};
  result.fidelity = compare_outputs(context.inputs.shape, dense.output, dense.output,
                                    {dense.output.lse, dense.output.lse});
  result.heads = heads_of(dense.mask, context.inputs.shape, *result.fidelity);
  check_against_dense(context, dense.oracle, result);
}

}  // namespace maskerade
