#include "experiments/run/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "experiments/run/cell_checks.hpp"
#include "experiments/run/cell_keys.hpp"
#include "experiments/run/current_workload.hpp"
#include "experiments/run/device_facts.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "experiments/run/run_job.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

void add_once(const std::string& text, std::vector<std::string>& texts) {
  if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
}

}  // namespace

bool is_on_cuda(const Job& job) { return job.cell.device == "cuda"; }

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
                                 .kernel = std::string(kDenseName)},
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
                      "({}) does not have by itself; give the pipeline another target or only: "
                      "prefill",
                      spec.name, workload.label));
    }
  }
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
      if (unroutable) add_once(*unroutable, outcome.bad_inputs);
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
    describe_device(experiment.checks[job.cell.check].check, options, result);
    if (listener.find_finished) {
      // The routing error replaces the data's fingerprint in the key.
      const std::string data =
          current.load_failure() ? "" : unroutable.value_or(current.fingerprint());
      result.key = keys.next_key(job, pipeline, result, data);
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
