#include "experiments/worker/worker_host.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "experiments/results/cell_message.hpp"
#include "experiments/run/cell_checks.hpp"
#include "experiments/run/current_workload.hpp"
#include "experiments/run/runner.hpp"
#include "experiments/worker/worker_process.hpp"

namespace maskerade {
namespace {

using Answer = WorkerProcess::Answer;
using Ending = WorkerProcess::Ending;

class WorkerHost final : public CellHost {
 public:
  WorkerHost(const Experiment& experiment, WorkerSetup setup, std::function<bool()> is_stopped)
      : experiment_(experiment), setup_(std::move(setup)), is_stopped_(std::move(is_stopped)) {}

  const OpenedWorkload& open(const Job& job) override {
    if (worker_ != nullptr && worker_->has_ended()) worker_.reset();
    const bool is_held = worker_ != nullptr && workload_ == job.cell.workload;
    if (is_held && opened_.description) return opened_;
    if (!is_held) worker_.reset();
    workload_ = job.cell.workload;
    return ask_for_workload({.task = WorkerTask::kOpen, .job = job.cell.number});
  }

  void prepare_reference(const Job& job) override {
    ask_for_workload({.task = WorkerTask::kPrepare, .job = job.cell.number});
  }

  void run(const Job& job, CellResult& result) override {
    const MeasureSpec& measure = experiment_.checks[job.cell.check].measure;
    // Before, so that the bounds on the cell are for what its maskers do.
    prepare_reference(job);
    if (!opened_.description) return fail(result, opened_.failure);
    const std::optional<std::string> failure = failure_of([&] {
      const auto answer = worker_->ask(
          message_of(
              WorkerRequest{.task = WorkerTask::kRun, .job = job.cell.number, .described = result}),
          {.timeout_ms = measure.cell_timeout_ms, .growth_bytes = measure.cell_memory_bytes});
      if (const auto* ending = std::get_if<Ending>(&answer)) {
        fail(result, "its worker " + ending->text);
      } else {
        result = result_of_message(std::get<Answer>(answer).message);
      }
    });
    if (failure) fail(result, *failure);
    if (result.status == CellStatus::kFailed) worker_.reset();
  }

 private:
  const OpenedWorkload& ask_for_workload(const WorkerRequest& request) {
    opened_ = {};
    const std::optional<std::string> failure = failure_of([&] {
      if (worker_ == nullptr) start();
      if (worker_ == nullptr) return;
      const auto answer = worker_->ask(message_of(request));
      if (const auto* ending = std::get_if<Ending>(&answer)) {
        opened_.failure = "while its data was loaded its worker " + ending->text;
      } else {
        opened_ = opened_of(std::get<Answer>(answer).message);
      }
    });
    if (failure) opened_.failure = *failure;
    if (!opened_.description) worker_.reset();
    return opened_;
  }

  // Leaves no worker and says so in opened_ where there can be none.
  void start() {
    worker_ = std::make_unique<WorkerProcess>(setup_, is_stopped_);
    const auto answer = worker_->await_ready();
    if (const auto* ending = std::get_if<Ending>(&answer)) {
      opened_.failure = "while it was started its worker " + ending->text;
    } else {
      opened_.failure = ready_of(std::get<Answer>(answer).message).failure;
    }
    if (!opened_.failure.empty()) worker_.reset();
  }

  const Experiment& experiment_;
  WorkerSetup setup_;
  std::function<bool()> is_stopped_;
  std::optional<std::size_t> workload_;  // that was opened last
  OpenedWorkload opened_;
  std::unique_ptr<WorkerProcess> worker_;
};

}  // namespace

std::unique_ptr<CellHost> make_worker_host(const Experiment& experiment,
                                           WorkerSetup setup,
                                           std::function<bool()> is_stopped) {
  return std::make_unique<WorkerHost>(experiment, std::move(setup), std::move(is_stopped));
}

}  // namespace maskerade
