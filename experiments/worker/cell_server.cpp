#include "experiments/worker/cell_server.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/cell_message.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/runner.hpp"
#include "experiments/worker/worker_messages.hpp"

namespace maskerade {
namespace {

// Why a result that another process described cannot be that of the job here; "" when it can.
std::string disagreement(const CellResult& described, const CellResult& here) {
  if (described.workload != here.workload || described.pipeline != here.pipeline ||
      described.device != here.device || described.kernel != here.kernel) {
    return "the presets changed while the experiment ran; run it again";
  }
  if (described.cost_model != here.cost_model) {
    return "the saved calibration changed while the experiment ran; run it again";
  }
  return "";
}

}  // namespace

void serve_cells(const Experiment& experiment, const RunOptions& options, MessageChannel& channel) {
  const std::vector<Job> jobs = make_jobs(experiment);
  const std::unique_ptr<CellHost> host = make_local_host(experiment, options);
  while (const std::optional<std::string> message = channel.receive()) {
    WorkerRequest request = request_of(*message);
    const Job& job = jobs.at(request.job);
    if (request.task == WorkerTask::kPrepare) host->prepare_reference(job);
    if (request.task != WorkerTask::kRun) {
      if (!channel.send(message_of(host->open(job)))) return;
      continue;
    }
    CellResult& result = request.described.value();
    const std::string problem = disagreement(result, describe_job(experiment, job, options));
    if (problem.empty()) {
      host->run(job, result);
    } else {
      fail(result, problem);
    }
    if (!channel.send(cell_message(result))) return;
  }
}

}  // namespace maskerade
