#include "experiments/cli/dry_run.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>

#include "experiments/cli/commands.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/report/progress.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/base/text.hpp"

namespace maskerade {

int print_cells(const Experiment& experiment,
                const std::vector<Job>& jobs,
                const RunOptions& options) {
  double loading_ms = 0;
  double repeating_ms = 0;
  std::optional<std::size_t> workload;
  Workload loaded;
  WorkloadDescription description;
  for (const Job& job : jobs) {
    if (workload != job.cell.workload) {
      workload = job.cell.workload;
      const Stopwatch loading;
      loaded = load_workload(experiment.workloads[*workload]);
      loading_ms += loading.elapsed_ms();
      description = describe_workload(loaded);
      const bool is_trace = loaded.decode_steps > 0;
      fmt::print("{}: {}{} {}, {}, {}\n", printable(experiment.workloads[*workload].label),
                 (is_trace ? loaded.prompt_shape() : loaded.shape).to_string(),
                 is_trace ? fmt::format(" and {} decode steps,", loaded.decode_steps) : "",
                 name_of(loaded.dtype), loaded.causal ? "causal" : "not causal",
                 printable(loaded.source));
    }
    // Throws where the job's pipeline does not fit the loaded data.
    const Pipeline routed = pipeline_of(experiment, job, &description);
    const CellResult described = describe_job(experiment, job, options);
    repeating_ms += described.measure_budget_ms;
    fmt::print("  {:>4}  {:<40} {:<5} {:<6}{}\n", described.cell, printable(described.pipeline),
               described.device, described.kernel,
               depends_on_seed(experiment.pipelines[job.cell.pipeline],
                               experiment.workloads[job.cell.workload]) &&
                       described.mask_seed
                   ? fmt::format(" seed {}", *described.mask_seed)
                   : "");
  }
  fmt::print(
      "about {}: {} of repeating, where each cell takes its measure.budget, and {} of loading "
      "data; without checks and searches\n",
      time_left_text(repeating_ms + loading_ms), time_left_text(repeating_ms),
      time_left_text(loading_ms));
  fmt::print("{} cell{}; shapes are (batch, query_heads, kv_heads, query_len, key_len, head_dim)\n",
             jobs.size(), jobs.size() == 1 ? "" : "s");
  return kExitOk;
}

}  // namespace maskerade
