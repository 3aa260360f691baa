#include "experiments/run/cell_checks.hpp"
#include "experiments/run/cell_host.hpp"
#include "experiments/run/current_workload.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "experiments/run/run_job.hpp"
#include "framework/base/thread_affinity.hpp"

namespace maskerade {
namespace {

class LocalHost final : public CellHost {
 public:
  LocalHost(const Experiment& experiment, const RunOptions& options)
      : experiment_(experiment), options_(options), current_(experiment, options) {}

  const OpenedWorkload& open(const Job& job) override { return current_.load(job.cell); }

  void prepare_reference(const Job& job) override {
    if (!open(job).description) return;
    failure_of([&] {
      if (current_.workload().decode_steps > 0) {
        current_.trace_reference(job.cell.device, job.cell.check);
      } else {
        current_.reference(job.cell.device, job.cell.check);
      }
    });
  }

  void run(const Job& job, CellResult& result) override {
    const Pipeline pipeline = pipeline_of(experiment_, job, &*open(job).description);
    const ThreadAffinity affinity(options_.threads);
    run_job(experiment_, job, pipeline, options_, current_, result);
    if (const std::string moved = affinity.restore(); !moved.empty()) {
      fail(result, "a masker bound threads of the program to processors: " + moved);
    }
    // Rationale: what a masker did to the data must not reach the next cell.
    if (result.status == CellStatus::kFailed) current_.forget_if_changed();
  }

 private:
  const Experiment& experiment_;
  const RunOptions& options_;
  CurrentWorkload current_;
};

}  // namespace

std::unique_ptr<CellHost> make_local_host(const Experiment& experiment, const RunOptions& options) {
  return std::make_unique<LocalHost>(experiment, options);
}

}  // namespace maskerade
