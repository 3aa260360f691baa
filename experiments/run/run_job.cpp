#include "experiments/run/run_job.hpp"

#include <optional>
#include <string>

#include "attention/backend_table.hpp"
#include "experiments/report/match_text.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/coverage_check.hpp"
#include "experiments/run/decode_trace.hpp"
#include "experiments/run/match_cell.hpp"

namespace maskerade {
namespace {

// One job on its device.
class JobRun {
 public:
  JobRun(const Experiment& experiment,
         const Job& job,
         const Pipeline& pipeline,
         const RunOptions& options,
         CurrentWorkload& current,
         CellResult& result)
      : job_(job),
        options_(options),
        current_(current),
        result_(result),
        check_(experiment.checks[job.cell.check].check),
        measure_(experiment.checks[job.cell.check].measure),
        selecting_{.seed = job.cell.mask_seed, .chunk_rows = options.chunk_rows},
        attention_(pipeline, job.cell.kernel),
        match_(job.is_dense_reference ? std::nullopt
                                      : experiment.pipelines[job.cell.pipeline].match) {}

  void run() {
    Backend& backend = current_.backend(job_.cell.device);
    const DenseReference& dense = current_.reference(job_.cell.device, job_.cell.check);
    const CellContext context{backend, current_.workload().dtype, dense, check_, measure_,
                              options_};
    describe_dense(dense);
    if (job_.is_dense_reference) return run_dense_cell(context, result_);
    const ResearchAttention measured =
        match(context, [&](const LoadedPipeline& loaded) { return backend.prepare(loaded); });
    run_cell(context, measured, job_.cell.mask_seed, result_);
    cover(measured.pipeline(), context.inputs(),
          [&](const Pipeline& pipeline, const AttentionInputs& inputs,
              const PipelineOptions& options) {
            check_stopped(options_);
            return pipeline.prepare(inputs, options, options_.threads);
          });
  }

  void run_trace() {
    Backend& backend = current_.backend(job_.cell.device);
    const TraceReference& reference = current_.trace_reference(job_.cell.device, job_.cell.check);
    const DType dtype = current_.workload().dtype;
    const TraceContext context{backend, reference, dtype, check_, measure_, options_};
    describe_dense(reference.steps.front().dense);
    if (job_.is_dense_reference) return run_dense_trace_cell(context, result_);
    // What is searched, and what a guarantee is checked on, is the last step.
    const AttentionInputs& inputs = reference.steps.back().inputs;
    const DenseReference& dense = reference.steps.back().dense;
    const CellContext last{backend, dtype, dense, check_, measure_, options_};
    backend.show(inputs);
    const ResearchAttention measured = match(last, [&](const LoadedPipeline& loaded) {
      backend.show(reference.prompt);
      std::unique_ptr<PreparedSelection> prepared = backend.prepare(loaded);
      backend.show(inputs);
      prepared->append(inputs);
      return prepared;
    });
    run_trace_cell(context, measured, job_.cell.mask_seed, result_);
    cover(measured.pipeline(), inputs,
          [&](const Pipeline& pipeline, const AttentionInputs& on, const PipelineOptions& options) {
            check_stopped(options_);
            PreparedPipeline prepared =
                pipeline.prepare(reference.prompt, options, options_.threads);
            prepared.append(on, options_.threads);
            return prepared;
          });
  }

 private:
  void describe_dense(const DenseReference& dense) {
    result_.dense_kernel = dense.planned.plan->kernel_mix();
    result_.dense_kernel_reason = dense.kernel_reason;
  }

  // The attention, with what a parameter of it was found to be where one is to be searched.
  ResearchAttention match(const CellContext& context, const Preparation& prepare) {
    return match_ ? match_cell(context, attention_, selecting_, prepare, *match_, result_)
                  : attention_;
  }

  // Checks the guarantee that the pipeline states, if it does and the experiment asks for it.
  // Selections do not depend on the device: this runs on the CPU.
  void cover(const Pipeline& pipeline,
             const AttentionInputs& inputs,
             const CoveragePreparation& prepare) {
    const std::optional<Guarantee> stated = guarantee_of(pipeline);
    if (!stated || check_.coverage_seeds == 0) return;
    result_.coverage = measure_coverage(pipeline, inputs, prepare, *stated,
                                        {.seeds = check_.coverage_seeds,
                                         .first_seed = job_.cell.mask_seed,
                                         .rows = check_.coverage_rows,
                                         .chunk_rows = options_.chunk_rows},
                                        options_.threads);
  }

  const Job& job_;
  const RunOptions& options_;
  CurrentWorkload& current_;
  CellResult& result_;
  const CheckSpec& check_;
  const MeasureSpec& measure_;
  PipelineOptions selecting_;
  ResearchAttention attention_;
  std::optional<MatchSpec> match_;
};

// What failed before stays failed.
void make_unavailable(CellResult& result, const std::string& reason) {
  if (result.status == CellStatus::kFailed) return;
  result.status = CellStatus::kUnavailable;
  result.reason = reason;
}

}  // namespace

void run_job(const Experiment& experiment,
             const Job& job,
             const Pipeline& pipeline,
             const RunOptions& options,
             CurrentWorkload& current,
             CellResult& result) {
  JobRun run(experiment, job, pipeline, options, current, result);
  const std::optional<std::string> failure = failure_of([&] {
    try {
      // A kernel that the device does not have needs no data on it. The dense reference is by the
      // first dense kernel that there is.
      if (!job.is_dense_reference) find_kernel(job.cell.device, job.cell.kernel);
      current.workload().decode_steps > 0 ? run.run_trace() : run.run();
    } catch (const UnavailableError& error) {
      make_unavailable(result, error.what());
    }
  });
  if (failure) return fail(result, *failure);
  if (missed_match(result) && result.match->on_miss == MissRule::kFail) {
    fail(result, match_text(*result.match));
  }
}

}  // namespace maskerade
