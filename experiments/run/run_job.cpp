#include "experiments/run/run_job.hpp"

#include <optional>
#include <string>

#include "experiments/run/cell_checks.hpp"
#include "experiments/run/coverage_check.hpp"
#include "experiments/run/cuda_cell.hpp"
#include "experiments/run/decode_trace.hpp"
#include "experiments/run/match_cell.hpp"

namespace maskerade {
namespace {

void run_cuda_job(const Experiment& experiment,
                  const Job& job,
                  const Pipeline& pipeline,
                  const RunOptions& options,
                  const AttentionInputs& inputs,
                  CurrentWorkload& current,
                  CellResult& result) {
  CudaReference& dense = current.cuda_reference(inputs, job.cell.check);
  const CudaCellContext context{inputs, current.workload().dtype, dense,
                                experiment.checks[job.cell.check].measure, options};
  result.dense_kernel = dense.plan.kernel_name();
  result.dense_kernel_reason = dense.cudnn_problem;
  if (job.is_dense_reference) {
    run_cuda_dense_cell(context, result);
  } else {
    run_cuda_cell(context, pipeline, job.cell.kernel, job.cell.mask_seed, result);
  }
}

}  // namespace

void run_job(const Experiment& experiment,
             const Job& job,
             const Pipeline& pipeline,
             const RunOptions& options,
             CurrentWorkload& current,
             CellResult& result) {
  if (current.load_failure()) return fail(result, *current.load_failure());
  const bool is_cuda = is_on_cuda(job);
  if (is_cuda) {
    result.reason = cuda_obstacle(current.workload(), pipeline, result);
    if (!result.reason.empty()) {
      result.status = CellStatus::kUnavailable;
      return;
    }
  }
  const CheckSpec& check = experiment.checks[job.cell.check].check;
  const MeasureSpec& measure = experiment.checks[job.cell.check].measure;
  const PipelineOptions selecting{.seed = job.cell.mask_seed, .chunk_rows = options.chunk_rows};
  const DType dtype = current.workload().dtype;
  // The pipeline, with what a parameter of it was found to be.
  const auto attention = [&](const CellContext& context, const Preparation& prepare) {
    const ResearchAttention given(pipeline, job.cell.kernel, options.costs);
    const std::optional<MatchSpec>& match = experiment.pipelines[job.cell.pipeline].match;
    return match ? match_cell(context, given, prepare, *match, result) : given;
  };
  const auto cover = [&](const Pipeline& measured, const AttentionInputs& inputs,
                         const CoveragePreparation& prepare) {
    const std::optional<Guarantee> stated = guarantee_of(measured);
    if (!stated || check.coverage_seeds == 0) return;
    result.coverage = measure_coverage(measured, inputs, prepare, *stated,
                                       {.seeds = check.coverage_seeds,
                                        .first_seed = job.cell.mask_seed,
                                        .rows = check.coverage_rows,
                                        .chunk_rows = options.chunk_rows},
                                       options.threads);
  };
  const auto run_trace = [&] {
    const TraceReference& reference = current.trace_reference(job.cell.check);
    const TraceContext context{reference, dtype, measure, options};
    result.dense_kernel = reference.steps.front().dense.plan.kernel_mix();
    if (job.is_dense_reference) return run_dense_trace_cell(context, result);
    const auto& [inputs, dense] = reference.steps.back();
    const auto prepare = [&](const Pipeline& of, const AttentionInputs& on,
                             const PipelineOptions& with) {
      PreparedPipeline prepared = of.prepare(reference.prompt, with, options.threads);
      prepared.append(on, options.threads);
      return prepared;
    };
    const CellContext last{inputs, dtype, dense, measure, options};
    const ResearchAttention measured = attention(last, [&](const ResearchAttention& of) {
      return prepare(of.pipeline(), last.inputs, selecting);
    });
    run_trace_cell(context, measured, job.cell.mask_seed, result);
    cover(measured.pipeline(), last.inputs, prepare);
  };
  const auto run = [&] {
    const AttentionInputs inputs = current.workload().inputs();
    const auto prepare = [&](const Pipeline& of, const AttentionInputs& on,
                             const PipelineOptions& with) {
      return of.prepare(on, with, options.threads);
    };
    if (is_cuda) {
      run_cuda_job(experiment, job, pipeline, options, inputs, current, result);
      if (!job.is_dense_reference) cover(pipeline, inputs, prepare);
      return;
    }
    const CellContext context{inputs, dtype, current.reference(inputs, job.cell.check), measure,
                              options};
    result.dense_kernel = context.dense.plan.kernel_mix();
    if (job.is_dense_reference) return run_dense_cell(context, result);
    const ResearchAttention measured = attention(context, [&](const ResearchAttention& of) {
      return prepare(of.pipeline(), inputs, selecting);
    });
    run_cell(context, measured, job.cell.mask_seed, result);
    cover(measured.pipeline(), inputs, prepare);
  };
  const std::optional<std::string> failure =
      failure_of([&] { current.workload().decode_steps > 0 ? run_trace() : run(); });
  if (failure) fail(result, *failure);
}

}  // namespace maskerade
