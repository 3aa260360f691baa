#include "attention/cpu/cpu_kernels.hpp"

#include <utility>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/cpu_backend.hpp"
#include "attention/cpu/cpu_plan.hpp"

namespace maskerade {
namespace {

class PlanOfCpu final : public Plan {
 public:
  PlanOfCpu(CpuPlan plan, DType dtype) : plan_(std::move(plan)), dtype_(dtype) {}
  const CpuPlan& plan() const { return plan_; }
  std::vector<KernelShare> kernel_shares() const override { return plan_.kernel_shares(); }
  DType arithmetic() const override { return DType::kFloat32; }
  std::int64_t kv_bytes_touched() const override { return plan_.kv_bytes_touched(dtype_); }
  std::int64_t size_bytes() const override { return plan_.size_bytes(); }

 private:
  CpuPlan plan_;
  DType dtype_;
};

const CpuPlan& cpu_plan_of(const Plan& plan) { return static_cast<const PlanOfCpu&>(plan).plan(); }
const CpuBackend& cpu_of(const Backend& backend) { return static_cast<const CpuBackend&>(backend); }

class WalkKernel final : public Kernel {
 public:
  // walk: nullopt chooses for each tile row.
  explicit WalkKernel(std::optional<Walk> walk) : walk_(walk) {}

  std::string refusal(const Backend&, const SelectedMask&) const override { return ""; }
  std::unique_ptr<Plan> plan(Backend& backend, const SelectedMask& mask) const override {
    const CpuBackend& cpu = cpu_of(backend);
    const AttentionInputs& inputs = cpu.inputs();
    return std::make_unique<PlanOfCpu>(make_cpu_plan(mask.on_host(), inputs.shape, walk_,
                                                     inputs.k.dtype, cpu.costs(), cpu.threads()),
                                       inputs.k.dtype);
  }
  void attend(Backend& backend, const Plan& plan, AttentionOutput& output) const override {
    const CpuBackend& cpu = cpu_of(backend);
    maskerade::attend(cpu.inputs(), cpu_plan_of(plan), cpu.threads(), output);
  }
  std::optional<double> predicted_ns(const Backend& backend, const Plan& plan) const override {
    const CpuBackend& cpu = cpu_of(backend);
    return maskerade::predicted_ns(cpu_plan_of(plan), cpu.inputs().k.dtype, cpu.costs());
  }

 private:
  std::optional<Walk> walk_;
};

}  // namespace

const Kernel& cpu_auto_kernel() {
  static const WalkKernel kernel(std::nullopt);
  return kernel;
}
const Kernel& cpu_dense_kernel() {
  static const WalkKernel kernel(Walk::kDense);
  return kernel;
}
const Kernel& cpu_tiles_kernel() {
  static const WalkKernel kernel(Walk::kTiles);
  return kernel;
}
const Kernel& cpu_rows_kernel() {
  static const WalkKernel kernel(Walk::kRows);
  return kernel;
}

}  // namespace maskerade
