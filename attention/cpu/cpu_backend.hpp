#pragma once

#include <memory>

#include "attention/backend/backend.hpp"
#include "attention/cpu/cost_model.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// The backend of the processor. Inputs lie in host memory and stay there; masks are those of the
// host. Outputs are written where Kernel::attend is told, so that fetch() has nothing to do.
class CpuBackend final : public Backend {
 public:
  // costs: by which `auto` chooses kernels. Throws ShapeError when the inputs do not fit together,
  // UnavailableError when they lie in a device's memory.
  CpuBackend(const AttentionInputs& inputs, CostModel costs, const Threads& threads);

  const CostModel& costs() const noexcept { return costs_; }
  const Threads& threads() const noexcept { return threads_; }

  std::string_view name() const noexcept override { return "cpu"; }
  std::string pci_bus_id() const override { return ""; }
  const AttentionInputs& inputs() const noexcept override { return inputs_; }
  void show(const AttentionInputs& inputs) override;
  std::unique_ptr<PreparedSelection> prepare(const LoadedPipeline& loaded) override;
  std::unique_ptr<SelectedMask> take(Mask mask) override;
  bool attends_on_host() const noexcept override { return true; }
  void fetch(const Plan& plan, AttentionOutput& output) override;
  AttentionWeights weigh(const SelectedMask& mask) override;
  StageTime time(Stage stage, const Timing& timing, const std::function<void()>& work) override;

 private:
  AttentionInputs inputs_;
  CostModel costs_;
  Threads threads_;
};

}  // namespace maskerade
