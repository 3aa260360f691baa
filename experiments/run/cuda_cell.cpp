#include "experiments/run/cuda_cell.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "experiments/measure/device_clocks.hpp"
#include "experiments/measure/fidelity.hpp"
#include "experiments/measure/peak_memory.hpp"
#include "experiments/measure/required_work.hpp"
#include "experiments/measure/stopping_rule.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/repetitions.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "framework/base/error.hpp"
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

CudaCache cache_of(const MeasureSpec& measure) {
  return measure.is_warm ? CudaCache::kWarm : CudaCache::kCold;
}

// By events where everything is enqueued; else the device waits for maskers on the CPU, and time on
// the wall counts.
double select_ms(CudaAttention& device,
                 const CudaPipeline& pipeline,
                 const Threads& threads,
                 const MeasureSpec& measure,
                 std::optional<CudaMask>& mask) {
  const auto select = [&] { mask.emplace(device.select(pipeline, threads)); };
  if (pipeline.is_all_on_device()) {
    if (measure.is_warm) select();
    return device.time_ms(select, cache_of(measure));
  }
  device.synchronize();
  const Stopwatch watch;
  select();
  device.synchronize();
  return watch.elapsed_ms();
}

// Attends into memory that was overwritten.
double attend_ms(CudaAttention& device,
                 const CudaPlan& plan,
                 const MeasureSpec& measure,
                 CudaLaunch launch) {
  // Once before: its K and V are what a warm cache holds, and a graph cannot allocate.
  if (measure.is_warm || launch == CudaLaunch::kGraph) device.attend(plan);
  device.poison();
  return device.time_ms([&] { device.attend(plan); }, cache_of(measure), launch);
}

// What is timed of attending; with a graph, also what its kernels take when launched one by one.
double attend_ms(CudaAttention& device,
                 const CudaPlan& plan,
                 const MeasureSpec& measure,
                 std::vector<double>& launch_ms) {
  if (!measure.uses_graph) return attend_ms(device, plan, measure, CudaLaunch::kEach);
  const double each = attend_ms(device, plan, measure, CudaLaunch::kEach);
  const double graph = attend_ms(device, plan, measure, CudaLaunch::kGraph);
  launch_ms.push_back(each - graph);
  return graph;
}

// Follows what the device's clocks do while a cell is repeated.
class TimingWatch {
 public:
  explicit TimingWatch(const MeasureSpec& measure) {
    timing_.cache = measure.is_warm ? "warm" : "cold";
    timing_.before = read_device_clocks(cuda_device().pci_bus_id);
  }
  DeviceTiming finish(const std::vector<double>& launch_ms) {
    timing_.after = read_device_clocks(cuda_device().pci_bus_id);
    if (!launch_ms.empty()) timing_.launch_ms = summarize(launch_ms).median;
    return timing_;
  }

 private:
  DeviceTiming timing_;
};

// The roofs as what attainable_ms is made of; absent without roofs, and for plain kernels, which no
// matrix unit helps.
std::optional<MachinePeaks> peaks_of(const std::optional<DeviceRoofs>& roofs,
                                     DType dtype,
                                     std::int64_t head_dim) {
  if (!roofs || cuda_arithmetic(dtype, head_dim) == DType::kFloat32) return std::nullopt;
  return MachinePeaks{.flops_per_second = roofs->matrix_flops_per_second,
                      .read_bytes_per_second = roofs->copy_bytes_per_second,
                      .flops_source = roofs->matrix_source,
                      .l2_bytes_per_second = roofs->l2_read_bytes_per_second};
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
            StageSamples& samples,
            std::vector<double>& launch_ms) {
  CudaAttention& device = context.dense.device;
  const Threads& threads = context.options.threads;
  const MeasureSpec& measure = context.measure;
  const auto run_dense = [&] {
    std::vector<double> unused;
    samples.dense.push_back(attend_ms(device, context.dense.plan, measure, unused));
  };
  if (is_dense_first) run_dense();
  const Stopwatch prepare;
  const CudaPipeline prepared = device.take(pipeline.prepare(context.inputs, options, threads));
  samples.ready.push_back(prepare.elapsed_ms());
  std::optional<CudaMask> mask;
  samples.select.push_back(select_ms(device, prepared, threads, measure, mask));
  std::optional<CudaPlan> plan;
  const auto make_plan = [&] { plan.emplace(device.plan(*mask, kernel)); };
  if (measure.is_warm) make_plan();
  samples.plan.push_back(device.time_ms(make_plan, cache_of(measure)));
  samples.attend.push_back(attend_ms(device, *plan, measure, launch_ms));
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
                  const Mask& mask,
                  const CudaPlan& plan,
                  const CellResult& result) {
  const AttentionShape& shape = context.inputs.shape;
  CostFacts cost = cost_of(maskers, plan.kv_bytes_touched(), row_bytes(shape, context.dtype));
  if (result.peaks) {
    cost.attainable_ms = required_work(mask, shape, context.dtype, result.counts->active_entries)
                             .attainable_ms(*result.peaks);
  }
  return cost;
}

// The plan of the dense reference, and what it gives: cuDNN's, or else ours and why.
CudaPlan attend_dense(CudaAttention& device,
                      const CudaMask& mask,
                      AttentionOutput& output,
                      std::string& cudnn_problem) {
  try {
    CudaPlan plan = device.plan_cudnn();
    output = attend_once(device, plan);
    return plan;
  } catch (const Error& error) {
    cudnn_problem = error.what();
  }
  CudaPlan plan = device.plan(mask, Kernel::kDense);
  output = attend_once(device, plan);
  return plan;
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
      plan(attend_dense(device, device_mask, output, cudnn_problem)),
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

void describe_cuda(const CheckSpec& check, const RunOptions& options, CellResult& result) {
  if (!cuda_device().is_available) return;
  result.machine += "; " + cuda_device().name;
  result.peaks.reset();
  result.cost_model.clear();
  if (!result.facts) return;
  const std::int64_t head_dim = result.facts->shape.head_dim;
  result.peaks = peaks_of(options.roofs, result.facts->dtype, head_dim);
  const double usual = tolerance_of(cuda_arithmetic(result.facts->dtype, head_dim));
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
  std::vector<double> launch_ms;
  std::optional<Made> made;
  Mask mask = Mask::empty(inputs.visibility);
  bool same_mask = true;
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) {
    StageSamples unused;
    made = repeat(context, pipeline, kernel, options, true, unused, launch_ms);
  }
  mask = made->mask.download();
  launch_ms.clear();
  TimingWatch watch(context.measure);
  while (!rule.is_done(cell.elapsed_ms())) {
    const bool is_dense_first = samples.total.size() % 2 == 1;
    Made next = repeat(context, pipeline, kernel, options, is_dense_first, samples, launch_ms);
    rule.add(samples.total.back(), samples.dense.back());
    same_mask = same_mask && next.mask.download() == mask;
    made = std::move(next);
  }
  result.device_timing = watch.finish(launch_ms);
  result.peak_bytes = peak.bytes();
  result.selection_device = made->selection_device;
  const AttentionOutput sparse = attend_once(context.dense.device, made->plan);
  result.kernel_mix = made->plan.kernel_name();
  result.counts = count_whole_problem(mask, inputs.shape);
  result.cost = cost_on(context, made->maskers, mask, made->plan, result);
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
  std::vector<double> launch_ms;
  const auto time_once = [&] {
    return attend_ms(dense.device, dense.plan, context.measure, launch_ms);
  };
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) time_once();
  launch_ms.clear();
  TimingWatch watch(context.measure);
  while (!rule.is_done(cell.elapsed_ms())) {
    const double ms = time_once();
    rule.add(ms, ms);
  }
  result.device_timing = watch.finish(launch_ms);
  result.peak_bytes = peak.bytes();
  const Summary summary = summarize(rule.dense_ms());
  result.kernel_mix = dense.plan.kernel_name();
  result.counts = count_whole_problem(dense.mask, context.inputs.shape);
  result.cost = cost_on(context, {}, dense.mask, dense.plan, result);
  result.times = StageTimes{
      .attend = summary, .total = summary, .dense = summary, .repetitions = summary.repetitions};
  result.fidelity = compare_outputs(context.inputs.shape, dense.output, dense.output,
                                    {dense.output.lse, dense.output.lse});
  result.heads = heads_of(dense.mask, context.inputs.shape, *result.fidelity);
  check_against_dense(context, dense.oracle, result);
}

}  // namespace maskerade
