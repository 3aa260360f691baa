#include "experiments/run/cuda_cell.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "experiments/measure/fidelity.hpp"
#include "experiments/measure/peak_memory.hpp"
#include "experiments/measure/required_work.hpp"
#include "experiments/measure/stopping_rule.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

constexpr const char* kUploaded = "cpu, uploaded";

struct Samples {
  std::vector<double> prepare, select, plan, attend, total, dense;
  std::vector<std::vector<double>> select_by_masker;
};

// What one repetition made, kept for the checks.
struct Made {
  Selection selection;
  CudaMask mask;
  CudaPlan plan;
};

void fail(CellResult& result, const std::string& reason) {
  if (result.status == CellStatus::kFailed) return;
  result.status = CellStatus::kFailed;
  result.reason = reason;
}

bool same_floats(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
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
            Samples& samples) {
  CudaAttention& device = context.dense.device;
  const Threads& threads = context.options.threads;
  const auto run_dense = [&] { samples.dense.push_back(attend_ms(device, context.dense.plan)); };
  if (is_dense_first) run_dense();
  const Stopwatch prepare;
  const PreparedPipeline prepared = pipeline.prepare(context.inputs, options, threads);
  samples.prepare.push_back(prepare.elapsed_ms());
  const Stopwatch select;
  Selection selection = prepared.select(threads);
  CudaMask mask = device.upload(selection.mask);
  samples.select.push_back(select.elapsed_ms());
  std::optional<CudaPlan> plan;
  samples.plan.push_back(
      device.time_ms([&] { plan.emplace(device.plan(mask, kernel)); }, CudaCache::kCold));
  samples.attend.push_back(attend_ms(device, *plan));
  if (!is_dense_first) run_dense();
  samples.total.push_back(samples.prepare.back() + samples.select.back() + samples.plan.back() +
                          samples.attend.back());
  samples.select_by_masker.resize(selection.maskers.size());
  for (std::size_t i = 0; i < selection.maskers.size(); ++i) {
    samples.select_by_masker[i].push_back(selection.maskers[i].select_ms);
  }
  return Made{std::move(selection), std::move(mask), std::move(*plan)};
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

CostFacts cost_of(const CudaCellContext& context,
                  const std::vector<MaskerReport>& maskers,
                  const CudaPlan& plan) {
  CostFacts cost;
  for (const MaskerReport& masker : maskers) {
    cost.keys_scored += masker.keys_scored;
    cost.select_bytes_read += masker.bytes_read;
    cost.index_bytes += masker.index_bytes;
    cost.index_spans_future = cost.index_spans_future || masker.index_spans_future;
  }
  cost.kv_bytes_touched = plan.kv_bytes_touched();
  cost.total_bytes = cost.select_bytes_read + cost.kv_bytes_touched +
                     row_bytes(context.inputs.shape, context.dtype);
  return cost;
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

void check_against_dense(const CudaCellContext& context,
                         const OracleError& error,
                         std::string_view kernel,
                         CellResult& result) {
  const AttentionOutput dense = attend_once(context.dense.device, context.dense.plan);
  if (!same_floats(dense.out, context.dense.output.out) ||
      !same_floats(dense.lse, context.dense.output.lse)) {
    fail(result, "the dense reference changed while the cell ran");
  }
  if (context.dense.oracle_rows.empty()) return;
  result.oracle = OracleFacts{.rows = static_cast<std::int64_t>(context.dense.oracle_rows.size()),
                              .error = error.worst,
                              .dense_error = context.dense.oracle.worst};
  require_tolerance("the dense reference", context.inputs.shape, context.dense.oracle, result);
  require_tolerance(fmt::format("the {} kernel", kernel), context.inputs.shape, error, result);
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
  Samples samples;
  std::optional<Made> made;
  bool same_mask = true;
  for (int i = 0; i < StoppingRule::kWarmUps; ++i) {
    Samples unused;
    made = repeat(context, pipeline, kernel, options, true, unused);
  }
  while (!rule.is_done(cell.elapsed_ms())) {
    const bool is_dense_first = samples.total.size() % 2 == 1;
    Made next = repeat(context, pipeline, kernel, options, is_dense_first, samples);
    rule.add(samples.total.back(), samples.dense.back());
    same_mask = same_mask && next.selection.mask == made->selection.mask;
    made = std::move(next);
  }
  result.peak_bytes = peak.bytes();
  result.selection_device = kUploaded;
  const Mask& mask = made->selection.mask;
  const AttentionOutput sparse = attend_once(context.dense.device, made->plan);
  result.kernel_mix = made->plan.kernel_name();
  result.counts = count_whole_problem(mask, inputs.shape);
  result.cost = cost_of(context, made->selection.maskers, made->plan);
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
  if (made->mask.download() != mask) fail(result, "the mask changed on the device");
  check_against_dense(context,
                      compare_with_oracle(inputs, mask, sparse, context.dense.oracle_rows, threads),
                      result.kernel_mix, result);
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
  result.cost = cost_of(context, {}, dense.plan);
  result.times = StageTimes{
      .attend = summary, .total = summary, .dense = summary, .repetitions = summary.repetitions};
  result.fidelity = compare_outputs(context.inputs.shape, dense.output, dense.output,
                                    {dense.output.lse, dense.output.lse});
  result.heads = heads_of(dense.mask, context.inputs.shape, *result.fidelity);
  check_against_dense(context, dense.oracle, result.kernel_mix, result);
}

}  // namespace maskerade
