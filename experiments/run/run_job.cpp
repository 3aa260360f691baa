#include "experiments/run/run_job.hpp"

#include <memory>
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
    const CellContext context = this->context();
    describe_dense(context.dense);
    if (job_.is_dense_reference) return run_dense_cell(context, result_);
    const ResearchAttention measured = match(context);
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
    const TraceContext context{backend, reference, current_.workload().dtype,
                               check_,  measure_,  options_};
    describe_dense(reference.steps.front().dense);
    if (job_.is_dense_reference) return run_dense_trace_cell(context, result_);
    const CellContext last = last_step(backend, reference);
    const ResearchAttention measured = match(last);
    run_trace_cell(context, measured, job_.cell.mask_seed, result_);
    cover(measured.pipeline(), last.inputs(),
          [&](const Pipeline& pipeline, const AttentionInputs& on, const PipelineOptions& options) {
            check_stopped(options_);
            PreparedPipeline prepared =
                pipeline.prepare(reference.prompt, options, options_.threads);
            prepared.append(on, options_.threads);
            return prepared;
          });
  }

  // The mask of what run() or run_trace() measures.
  Mask select() {
    Backend& backend = current_.backend(job_.cell.device);
    if (is_trace()) last_step();  // shows it
    if (job_.is_dense_reference) return Mask::full(backend.inputs().visibility);
    // Rationale: only a search needs the dense reference, which may cost more than selecting.
    const ResearchAttention measured =
        !match_ ? attention_ : match(is_trace() ? last_step() : context());
    return prepare(backend, measured.load(backend, selecting_))->select()->on_host();
  }

 private:
  void describe_dense(const DenseReference& dense) {
    result_.dense_kernel = dense.planned.plan->kernel_mix();
    result_.dense_kernel_reason = dense.kernel_reason;
  }

  bool is_trace() const { return current_.workload().decode_steps > 0; }

  CellContext context() {
    return {current_.backend(job_.cell.device),
            current_.workload().dtype,
            current_.reference(job_.cell.device, job_.cell.check),
            check_,
            measure_,
            options_};
  }
  // The last step of a decode trace: what is searched, and what a guarantee is checked on. Shows it
  // on the backend.
  CellContext last_step() {
    return last_step(current_.backend(job_.cell.device),
                     current_.trace_reference(job_.cell.device, job_.cell.check));
  }
  CellContext last_step(Backend& backend, const TraceReference& reference) {
    backend.show(reference.steps.back().inputs);
    return {backend, current_.workload().dtype, reference.steps.back().dense, check_, measure_,
            options_};
  }

  // Prepares a pipeline for what the backend shows; in a decode trace on the prompt, and appends.
  std::unique_ptr<PreparedSelection> prepare(Backend& backend, const LoadedPipeline& loaded) {
    if (!is_trace()) return backend.prepare(loaded);
    const TraceReference& reference = current_.trace_reference(job_.cell.device, job_.cell.check);
    const AttentionInputs& inputs = reference.steps.back().inputs;
    backend.show(reference.prompt);
    std::unique_ptr<PreparedSelection> prepared = backend.prepare(loaded);
    backend.show(inputs);
    prepared->append(inputs);
    return prepared;
  }

  // The attention, with what a parameter of it was found to be where one is to be searched.
  ResearchAttention match(const CellContext& context) {
    if (!match_) return attention_;
    return match_cell(
        context, attention_, selecting_,
        [&](const LoadedPipeline& loaded) { return prepare(context.backend, loaded); }, *match_,
        result_);
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

Mask select_job(const Experiment& experiment,
                const Job& job,
                const Pipeline& pipeline,
                const RunOptions& options,
                CurrentWorkload& current,
                CellResult& result) {
  return JobRun(experiment, job, pipeline, options, current, result).select();
}

}  // namespace maskerade
