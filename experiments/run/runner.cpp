#include "experiments/run/runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "experiments/run/cell_checks.hpp"
#include "experiments/run/cell_host.hpp"
#include "experiments/run/cell_keys.hpp"
#include "experiments/run/current_workload.hpp"
#include "experiments/run/device_facts.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"

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

bool is_isolated(const Experiment& experiment, const Job& job) {
  if (experiment.isolation != Isolation::kAuto) return experiment.isolation == Isolation::kAll;
  if (job.is_dense_reference) return false;
  const std::vector<const MaskerUse*> maskers = maskers_of(experiment.pipelines[job.cell.pipeline]);
  return std::any_of(maskers.begin(), maskers.end(),
                     [](const MaskerUse* use) { return !use->type->is_built_in(); });
}

namespace {

// One run over jobs.
class JobLoop {
 public:
  JobLoop(const Experiment& experiment,
          const RunOptions& options,
          const RunHosts& hosts,
          const RunListener& listener)
      : experiment_(experiment),
        options_(options),
        hosts_(hosts),
        listener_(listener),
        keys_(experiment) {}

  RunOutcome run(const std::vector<Job>& jobs) {
    for (const Job& job : jobs) {
      if (options_.is_stopped()) {
        outcome_.was_stopped = true;
        break;
      }
      CellResult result = describe_job(experiment_, job, options_);
      if (listener_.on_begin) listener_.on_begin(job, result);
      try {
        run_one(job, result);
      } catch (const RunStopped&) {
        if (listener_.on_abandon) listener_.on_abandon(job, result);
        outcome_.was_stopped = true;
        break;
      }
    }
    return std::move(outcome_);
  }

 private:
  void run_one(const Job& job, CellResult& result) {
    const Stopwatch stopwatch;
    CellHost* host = host_of(job);
    OpenedWorkload opened = open(*host, job);
    Pipeline pipeline = pipeline_of(experiment_, job, nullptr);
    std::string failure = opened.failure;
    if (opened.description) {
      const std::optional<std::string> unroutable =
          failure_of([&] { pipeline = pipeline_of(experiment_, job, &*opened.description); });
      if (unroutable) add_once(*unroutable, outcome_.bad_inputs);
      failure = unroutable.value_or("");
      result.params = resolved_parameters(pipeline);
      result.routes = route_texts(pipeline);
      result.facts = opened.description->facts;
    }
    result.plugins = keys_.plugins_of(pipeline);
    describe_device(experiment_.checks[job.cell.check].check, options_, result);
    if (listener_.claim) {
      // The routing error replaces the data's fingerprint in the key.
      const std::string data = !opened.description ? ""
                               : failure.empty()   ? opened.description->fingerprint
                                                   : failure;
      result.key = keys_.next_key(job, pipeline, result, data);
      JobClaim claim = listener_.claim(job, result);
      result.run = claim.run;
      if (claim.finished) return keep(job, result, *claim.finished);
      if (claim.is_taken) {
        ++outcome_.taken;
        if (listener_.on_taken) listener_.on_taken(job, result);
        return;
      }
      // What has ended a process may end it again.
      if (claim.has_died && hosts_.worker != nullptr) host = hosts_.worker.get();
    }
    if (failure.empty()) {
      run_on(*host, job, result);
    } else {
      fail(result, failure);
    }
    if (const std::string file = keys_.changed_file(pipeline); !file.empty()) {
      fail(result, fmt::format("{} changed while the experiment ran; run it again", file));
    }
    result.cell_ms = stopwatch.elapsed_ms();
    count(result);
    if (listener_.on_finish) listener_.on_finish(job, result);
  }

  CellHost* host_of(const Job& job) const {
    const bool is_apart = hosts_.worker != nullptr && is_isolated(experiment_, job);
    return (is_apart ? hosts_.worker : hosts_.local).get();
  }

  OpenedWorkload open(CellHost& host, const Job& job) {
    OpenedWorkload opened = host.open(job);
    if (opened.is_bad_input) add_once(opened.failure, outcome_.bad_inputs);
    return opened;
  }

  // Opens the workload again, since it may be another host that runs the job now.
  void run_on(CellHost& host, const Job& job, CellResult& result) {
    const OpenedWorkload opened = open(host, job);
    if (!opened.description) return fail(result, opened.failure);
    result.was_isolated = &host == hosts_.worker.get();
    host.run(job, result);
  }

  void keep(const Job& job, const CellResult& described, CellResult& kept) {
    kept.cell = described.cell;
    ++outcome_.kept;
    count(kept);
    if (listener_.on_keep) listener_.on_keep(job, kept);
  }

  void count(const CellResult& result) {
    if (result.status == CellStatus::kOk) ++outcome_.ok;
    if (result.status == CellStatus::kFailed) ++outcome_.failed;
    if (result.status == CellStatus::kUnavailable) ++outcome_.unavailable;
  }

  const Experiment& experiment_;
  const RunOptions& options_;
  const RunHosts& hosts_;
  const RunListener& listener_;
  CellKeys keys_;
  RunOutcome outcome_;
};

}  // namespace

RunOutcome run_jobs(const Experiment& experiment,
                    const std::vector<Job>& jobs,
                    const RunOptions& options,
                    const RunHosts& hosts,
                    const RunListener& listener) {
  return JobLoop(experiment, options, hosts, listener).run(jobs);
}

RunOutcome run_experiment(const Experiment& experiment,
                          const RunOptions& options,
                          const RunListener& listener) {
  return run_jobs(experiment, make_jobs(experiment), options,
                  {.local = make_local_host(experiment, options), .worker = nullptr}, listener);
}

}  // namespace maskerade
