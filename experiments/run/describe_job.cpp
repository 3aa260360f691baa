#include <fmt/format.h>

#include <variant>

#include "attention/backend_table.hpp"
#include "experiments/measure/machine.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "experiments/run/runner.hpp"

namespace maskerade {
namespace {

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

}  // namespace

CellResult describe_job(const Experiment& experiment, const Job& job, const RunOptions& options) {
  const WorkloadSpec& workload = experiment.workloads[job.cell.workload];
  const CheckSpec& check = experiment.checks[job.cell.check].check;
  CellResult result;
  result.experiment = experiment.name;
  result.workload = workload.label;
  result.cell = static_cast<std::int64_t>(job.cell.number);
  result.device = job.cell.device;
  result.kernel = job.cell.kernel;
  std::visit([&](const auto& source) { describe_source(source, result); }, workload.source);
  result.queries = workload.queries;
  if (workload.queries) result.query_seed = workload.query_seed;
  result.decode_steps = workload.decode_steps;
  result.threads = options.threads.count();
  result.chunk_rows = options.chunk_rows;
  const MeasureSpec& measure = experiment.checks[job.cell.check].measure;
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
  if (find_backend(job.cell.device).uses_costs &&
      (job.cell.kernel == "auto" || job.cell.kernel == "rows")) {
    result.cost_model = options.costs.origin;
  }
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

}  // namespace maskerade
