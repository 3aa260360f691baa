#include "experiments/run/runner.hpp"

#include <fmt/format.h>

#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <variant>

#include "experiments/data/workload.hpp"
#include "experiments/measure/machine.hpp"
#include "experiments/run/cell_keys.hpp"
#include "experiments/run/coverage_check.hpp"
#include "experiments/run/cuda_cell.hpp"
#include "experiments/run/decode_trace.hpp"
#include "experiments/run/match_cell.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

constexpr const char* kCuda = "cuda";

void fail(CellResult& result, const std::string& reason) {
  result.status = CellStatus::kFailed;
  result.reason = reason;
}

// Runs body; an exception becomes its text. Nothing that a cell does may end the run.
std::optional<std::string> failure_of(const std::function<void()>& body) {
  try {
    body();
    return std::nullopt;
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

// The data of consecutive jobs: loaded when the workload changes, the dense reference made when the
// workload or the check does.
class CurrentWorkload {
 public:
  CurrentWorkload(const Experiment& experiment, const RunOptions& options)
      : experiment_(experiment), options_(options) {}

  // Makes the job's workload the current one. A failure is kept, see load_failure. What could not
  // be read is added to bad_inputs.
  void load(const Cell& cell, std::vector<std::string>& bad_inputs) {
    if (loaded_ == cell.workload) return;
    loaded_ = cell.workload;
    forget_references();
    cuda_reference_.reset();
    cuda_check_.reset();
    workload_.reset();
    const WorkloadSpec& spec = experiment_.workloads[cell.workload];
    load_failure_ = failure_of([&] {
      try {
        workload_ = std::make_unique<Workload>(load_workload(spec));
      } catch (const ConfigError& error) {
        bad_inputs.push_back(error.what());
        throw;
      } catch (const DataError& error) {
        bad_inputs.push_back(error.what());
        throw;
      }
    });
  }

  const std::optional<std::string>& load_failure() const noexcept { return load_failure_; }
  // Requires no load_failure.
  const Workload& workload() const noexcept { return *workload_; }

  // Of the workload's data. Requires no load_failure.
  const std::string& fingerprint() const noexcept { return workload_->fingerprint; }

  // Requires no load_failure. Throws what attending throws.
  const DenseReference& reference(const AttentionInputs& inputs, std::size_t check) {
    if (!reference_ || reference_check_ != check) {
      forget_references();
      reference_ = std::make_unique<DenseReference>(inputs, experiment_.checks[check].first,
                                                    options_.threads);
      reference_check_ = check;
    }
    return *reference_;
  }
  // The same for a decode trace.
  const TraceReference& trace_reference(std::size_t check) {
    if (!trace_ || reference_check_ != check) {
      forget_references();
      trace_ = std::make_unique<TraceReference>(*workload_, experiment_.checks[check].first,
                                                options_.threads);
      reference_check_ = check;
    }
    return *trace_;
  }

  // The same on the CUDA device, which holds q, k and v meanwhile.
  CudaReference& cuda_reference(const AttentionInputs& inputs, std::size_t check) {
    if (cuda_check_ != check) {
      cuda_check_.reset();
      cuda_reference_.reset();
      cuda_reference_ = std::make_unique<CudaReference>(inputs, experiment_.checks[check].first,
                                                        options_.threads);
      cuda_check_ = check;
    }
    return *cuda_reference_;
  }

 private:
  void forget_references() {
    reference_.reset();
    trace_.reset();
    reference_check_.reset();
  }

  const Experiment& experiment_;
  const RunOptions& options_;
  std::optional<std::size_t> loaded_;
  std::optional<std::string> load_failure_;
  std::unique_ptr<Workload> workload_;
  std::optional<std::size_t> reference_check_;
  std::unique_ptr<DenseReference> reference_;
  std::unique_ptr<TraceReference> trace_;
  std::optional<std::size_t> cuda_check_;
  std::unique_ptr<CudaReference> cuda_reference_;
};

// What the results say of where the data came from.
void describe_source(const GaussianSource& source, CellResult& result) {
  result.seed = source.seed;
  if (source.key_spread > 0) {
    result.source_params = {{"key_spread", fmt::to_string(source.key_spread)}};
  }
}

void describe_source(const StructuredSource& source, CellResult& result) {
  result.seed = source.seed;
  result.source_params = {{"rank", fmt::to_string(source.rank)},
                          {"contrast", fmt::to_string(source.contrast)},
                          {"sinks", fmt::to_string(source.sinks)},
                          {"sink_mass", fmt::to_string(source.sink_mass)},
                          {"window", fmt::to_string(source.window)},
                          {"local_mass", fmt::to_string(source.local_mass)},
                          {"hitters", fmt::to_string(source.hitters)},
                          {"hitter_mass", fmt::to_string(source.hitter_mass)},
                          {"rope_base", fmt::to_string(source.rope_base)}};
}

const char* name_of(TensorLayout layout) { return layout == TensorLayout::kBhld ? "bhld" : "blhd"; }

void describe_source(const SafetensorsSource& source, CellResult& result) {
  result.file = source.file.string();
  result.source_params = {{"query", source.query},
                          {"key", source.key},
                          {"value", source.value},
                          {"layout", name_of(source.layout)}};
  if (source.query_positions) {
    result.source_params.emplace_back("query_positions", *source.query_positions);
  }
}

void describe_source(const NpySource& source, CellResult& result) {
  result.file = source.query.string();
  result.source_params = {{"key", source.key.string()},
                          {"value", source.value.string()},
                          {"layout", name_of(source.layout)}};
  if (source.query_positions) {
    result.source_params.emplace_back("query_positions", source.query_positions->string());
  }
}

// Why a cell cannot run on the device; "" when it can.
std::string cuda_obstacle(const Workload& workload, const CellResult& result) {
  if (!cuda_device().is_available) return cuda_device().reason;
  if (workload.decode_steps > 0) return "decode traces run on the cpu device alone";
  if (result.match) return "match searches on the cpu device alone";
  if (workload.shape.head_dim > kMostCudaHeadDim) {
    return fmt::format("head_dim is {}; the CUDA kernels take at most {}", workload.shape.head_dim,
                       kMostCudaHeadDim);
  }
  return "";
}

void run_cuda_job(const Experiment& experiment,
                  const Job& job,
                  const Pipeline& pipeline,
                  const RunOptions& options,
                  const AttentionInputs& inputs,
                  CurrentWorkload& current,
                  CellResult& result) {
  CudaReference& dense = current.cuda_reference(inputs, job.cell.check);
  const CudaCellContext context{inputs, current.workload().dtype, dense,
                                experiment.checks[job.cell.check].second, options};
  result.dense_kernel = dense.plan.kernel_name();
  if (job.is_dense_reference) {
    run_cuda_dense_cell(context, result);
  } else {
    run_cuda_cell(context, pipeline, job.cell.kernel, job.cell.mask_seed, result);
  }
}

// What results on the device have of their own: its name, no peaks, and the tolerance of its
// kernels' arithmetic unless the experiment states one.
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

void run_job(const Experiment& experiment,
             const Job& job,
             const Pipeline& pipeline,
             const RunOptions& options,
             CurrentWorkload& current,
             CellResult& result) {
  if (current.load_failure()) return fail(result, *current.load_failure());
  const bool is_cuda = job.cell.device == kCuda;
  if (is_cuda) {
    result.reason = cuda_obstacle(current.workload(), result);
    if (!result.reason.empty()) {
      result.status = CellStatus::kUnavailable;
      return;
    }
  }
  const CheckSpec& check = experiment.checks[job.cell.check].first;
  const MeasureSpec& measure = experiment.checks[job.cell.check].second;
  const PipelineOptions selecting{.seed = job.cell.mask_seed, .chunk_rows = options.chunk_rows};
  const DType dtype = current.workload().dtype;
  // The pipeline, with what a parameter of it was found to be.
  const auto attention = [&](const CellContext& context, const Preparation& prepare) {
    const ResearchAttention given(pipeline, job.cell.kernel, options.costs);
    const std::optional<MatchSpec>& match = experiment.pipelines[job.cell.pipeline].match;
    return match ? match_cell(context, given, prepare, *match, result) : given;
  };
  const auto cover = [&](const Pipeline& measured, const AttentionInputs& inputs) {
    const std::optional<Guarantee> stated = guarantee_of(measured);
    if (!stated || check.coverage_seeds == 0) return;
    result.coverage = measure_coverage(measured, inputs, *stated,
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
    const Preparation prepare = [&](const ResearchAttention& of) {
      PreparedPipeline prepared = of.prepare(reference.prompt, selecting, options.threads);
      prepared.append(inputs, options.threads);
      return prepared;
    };
    const CellContext last{inputs, dtype, dense, measure, options};
    const ResearchAttention measured = attention(last, prepare);
    run_trace_cell(context, measured, job.cell.mask_seed, result);
    cover(measured.pipeline(), inputs);
  };
  const auto run = [&] {
    const AttentionInputs inputs = current.workload().inputs();
    if (is_cuda) return run_cuda_job(experiment, job, pipeline, options, inputs, current, result);
    const CellContext context{inputs, dtype, current.reference(inputs, job.cell.check), measure,
                              options};
    result.dense_kernel = context.dense.plan.kernel_mix();
    if (job.is_dense_reference) return run_dense_cell(context, result);
    const Preparation prepare = [&](const ResearchAttention& of) {
      return of.prepare(inputs, selecting, options.threads);
    };
    const ResearchAttention measured = attention(context, prepare);
    run_cell(context, measured, job.cell.mask_seed, result);
    cover(measured.pipeline(), inputs);
  };
  const std::optional<std::string> failure =
      failure_of([&] { current.workload().decode_steps > 0 ? run_trace() : run(); });
  if (failure) fail(result, *failure);
}

}  // namespace

std::vector<Job> make_jobs(const Experiment& experiment) {
  const std::vector<Cell> cells = make_grid(experiment);
  auto next = cells.begin();
  std::vector<Job> jobs;
  // A workload that no pipeline is for has its reference all the same.
  for (std::size_t workload = 0; workload < experiment.workloads.size(); ++workload) {
    for (std::size_t check = 0; check < experiment.checks.size(); ++check) {
      for (const std::string& device : experiment.devices) {
        jobs.push_back({.cell = {.workload = workload,
                                 .check = check,
                                 .device = device,
                                 .kernel = Kernel::kDense},
                        .is_dense_reference = true});
      }
      for (; next != cells.end() && next->workload == workload && next->check == check; ++next) {
        jobs.push_back({.cell = *next});
      }
    }
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i].cell.number = i;
  return jobs;
}

void check_pipelines(const Experiment& experiment) {
  for (const PipelineSpec& spec : experiment.pipelines) {
    if (spec.name == kDenseName) {
      throw ConfigError(spec.position,
                        "pipeline \"dense\" has the name of the dense reference, which is always "
                        "run; choose another name, or leave it out");
    }
    if (!spec.match || spec.match->quantity != MatchQuantity::kTotalMs) continue;
    for (const WorkloadSpec& workload : experiment.workloads) {
      if (!workload.decode_steps || !runs_on(spec, workload)) continue;
      throw ConfigError(
          spec.position,
          fmt::format("pipeline \"{}\" is matched by total_ms, which a step of a decode trace "
                      "({}) does not have by itself; match density or total_bytes there",
                      spec.name, workload.label));
    }
  }
}

CellResult describe_job(const Experiment& experiment, const Job& job, const RunOptions& options) {
  const WorkloadSpec& workload = experiment.workloads[job.cell.workload];
  const CheckSpec& check = experiment.checks[job.cell.check].first;
  CellResult result;
  result.experiment = experiment.name;
  result.workload = workload.label;
  result.cell = static_cast<std::int64_t>(job.cell.number);
  result.device = job.cell.device;
  result.kernel = job.cell.kernel ? name_of(*job.cell.kernel) : "auto";
  std::visit([&](const auto& source) { describe_source(source, result); }, workload.source);
  result.queries = workload.queries;
  if (workload.queries) result.query_seed = workload.query_seed;
  result.decode_steps = workload.decode_steps;
  result.threads = options.threads.count();
  result.chunk_rows = options.chunk_rows;
  const MeasureSpec& measure = experiment.checks[job.cell.check].second;
  result.measure_target = measure.target;
  result.measure_budget_ms = measure.budget_ms;
  result.tolerance = check.tolerance.value_or(kFloat32Tolerance);
  result.tolerance_is_loosened = result.tolerance > kFloat32Tolerance;
  result.machine = machine_name();
  result.program_version = program_version();
  result.peaks = options.peaks;
  if (job.is_dense_reference) {
    result.pipeline = kDenseName;
    return result;
  }
  const PipelineSpec& pipeline = experiment.pipelines[job.cell.pipeline];
  result.pipeline = pipeline.label;
  if (!job.cell.kernel || job.cell.kernel == Kernel::kRows)
    result.cost_model = options.costs.origin;
  result.mask_seed = job.cell.mask_seed;
  result.params = resolved_parameters(pipeline_of(experiment, job, nullptr));
  if (pipeline.match) {
    result.match = MatchFacts{.quantity = pipeline.match->quantity,
                              .target = pipeline.match->target,
                              .tolerance = pipeline.match->tolerance,
                              .parameter = pipeline.match->name,
                              .found = {}};
  }
  return result;
}

RunOutcome run_experiment(const Experiment& experiment,
                          const RunOptions& options,
                          const RunListener& listener) {
  RunOutcome outcome;
  CellKeys keys(experiment);
  CurrentWorkload current(experiment, options);
  const auto count = [&](const CellResult& result) {
    if (result.status == CellStatus::kOk) ++outcome.ok;
    if (result.status == CellStatus::kFailed) ++outcome.failed;
    if (result.status == CellStatus::kUnavailable) ++outcome.unavailable;
  };
  for (const Job& job : make_jobs(experiment)) {
    if (listener.is_stopped && listener.is_stopped()) {
      outcome.was_stopped = true;
      break;
    }
    CellResult result = describe_job(experiment, job, options);
    if (listener.on_begin) listener.on_begin(job, result);
    current.load(job.cell, outcome.bad_inputs);
    Pipeline pipeline = pipeline_of(experiment, job, nullptr);
    std::optional<std::string> unroutable;
    if (!current.load_failure()) {
      const Workload& workload = current.workload();
      unroutable = failure_of([&] { pipeline = pipeline_of(experiment, job, &workload); });
      result.params = resolved_parameters(pipeline);
      result.routes = route_texts(pipeline);
      const bool is_trace = workload.decode_steps > 0;
      result.facts = WorkloadFacts{is_trace ? workload.prompt_shape() : workload.shape,
                                   workload.dtype,
                                   workload.causal,
                                   workload.source,
                                   workload.layer,
                                   workload.scale};
    }
    result.plugins = keys.plugins_of(pipeline);
    if (job.cell.device == kCuda) describe_cuda(experiment.checks[job.cell.check].first, result);
    if (listener.find_finished) {
      result.key =
          keys.next_key(job, pipeline, result, current.load_failure() ? "" : current.fingerprint());
      if (std::optional<CellResult> kept = listener.find_finished(result.key)) {
        kept->cell = result.cell;
        ++outcome.kept;
        count(*kept);
        if (listener.on_keep) listener.on_keep(job, *kept);
        continue;
      }
    }
    if (unroutable) {
      fail(result, *unroutable);
    } else {
      run_job(experiment, job, pipeline, options, current, result);
    }
    if (const std::string file = keys.changed_file(pipeline); !file.empty()) {
      fail(result, fmt::format("{} changed while the experiment ran; run it again", file));
    }
    count(result);
    if (listener.on_finish) listener.on_finish(job, result);
  }
  return outcome;
}

}  // namespace maskerade
