#include "attention/kernel_table.hpp"
#include "experiments/measure/machine.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "experiments/run/runner.hpp"

namespace maskerade {

CellResult describe_job(const Experiment& experiment, const Job& job, const RunOptions& options) {
  const WorkloadSpec& workload = experiment.workloads[job.cell.workload];
  const CheckSpec& check = experiment.checks[job.cell.check].check;
  CellResult result;
  result.experiment = experiment.name;
  result.workload = workload.label;
  result.cell = static_cast<std::int64_t>(job.cell.number);
  result.device = job.cell.device;
  result.kernel = job.cell.kernel;
  const SourceDescription source = workload.source->describe();
  result.seed = source.seed;
  result.file = source.file;
  result.source_params = source.parameters;
  result.queries = workload.queries;
  if (workload.queries) result.query_seed = workload.query_seed;
  result.decode_steps = workload.decode_steps;
  result.threads = options.threads.count();
  result.chunk_rows = options.chunk_rows;
  const MeasureSpec& measure = experiment.checks[job.cell.check].measure;
  result.measure_target = measure.target;
  result.measure_budget_ms = measure.budget_ms;
  set_tolerance(check, DType::kFloat32, result);
  result.machine = machine_name();
  result.program_version = program_version();
  result.peaks = options.peaks;
  if (job.is_dense_reference) {
    result.pipeline = kDenseName;
    return result;
  }
  const PipelineSpec& pipeline = experiment.pipelines[job.cell.pipeline];
  result.pipeline = pipeline.label;
  for (const KernelRow& row : kernel_table()) {
    const bool is_kernel = row.backend == job.cell.device && row.name == job.cell.kernel;
    if (is_kernel && row.uses_costs) result.cost_model = options.costs.origin;
  }
  result.mask_seed = job.cell.mask_seed;
  result.params = resolved_parameters(pipeline_of(experiment, job, nullptr));
  if (pipeline.match) {
    result.match = MatchFacts{.quantity = pipeline.match->quantity,
                              .target = pipeline.match->target,
                              .tolerance = pipeline.match->tolerance,
                              .parameter = pipeline.match->name,
                              .on_miss = pipeline.match->on_miss,
                              .found = {}};
  }
  return result;
}

}  // namespace maskerade
