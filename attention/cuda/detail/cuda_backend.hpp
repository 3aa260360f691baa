#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attention/cuda/cuda_backend.hpp"
#include "attention/cuda/detail/cudnn_dense.hpp"
#include "attention/cuda/detail/device_problem.hpp"
#include "framework/pipeline/cuda/device_pipeline.hpp"
#include "framework/tensor/cuda/device.hpp"

namespace maskerade::cuda {

// A mask on the device: uploaded, or selected there.
class CudaMask final : public SelectedMask {
 public:
  CudaMask(DeviceSelection selection, Visibility visibility)
      : selection_(std::move(selection)), visibility_(std::move(visibility)) {}
  const Mask& on_host() const override;
  bool is_intact() const override;
  std::vector<MaskerReport> maskers() const override { return selection_.reports(); }
  const DeviceSelection& selection() const noexcept { return selection_; }

 private:
  Mask download() const;

  DeviceSelection selection_;
  Visibility visibility_;
  mutable std::unique_ptr<const Mask> downloaded_;  // once it was asked for
};

// A plan of any CUDA kernel.
class CudaPlan : public Plan {
 public:
  // name: how keys are walked, and the family of the kernel: "tiles sm90".
  CudaPlan(std::string name, DType arithmetic, const DeviceProblem& problem)
      : name_(std::move(name)),
        arithmetic_(arithmetic),
        key_bytes_(problem.key_bytes()),
        shape_(problem.shape()),
        key_room_(problem.arguments().room()) {}
  std::vector<KernelShare> kernel_shares() const override { return {{name_, 1}}; }
  DType arithmetic() const override { return arithmetic_; }
  std::int64_t kv_bytes_touched() const override { return key_bytes_ * keys_touched(); }

  // Throws ShapeError unless the problem shows inputs of the shape that was planned for.
  void check_fit(const DeviceProblem& problem) const;
  // Enqueues attending.
  virtual void attend(DeviceProblem& problem) const = 0;
  // Brings the out of attending, float32. Waits. Throws Error when the plan overflowed.
  virtual void fetch_out(const DeviceProblem& problem, std::span<float> out) const;

 protected:
  // Keys that are read, over all row blocks. Waits.
  virtual std::int64_t keys_touched() const = 0;
  // Not 0 when the plan is larger than its upper bounds. Waits.
  virtual std::int32_t overflow() const { return 0; }

 private:
  std::string name_;
  DType arithmetic_;
  std::int64_t key_bytes_;  // of one key and its value
  AttentionShape shape_;
  std::int64_t key_room_;  // see AttendArguments::room
};

// The backend of the CUDA device. Work goes through one stream; masks, plans and outputs stay on
// the device until they are asked for.
class CudaBackend final : public Backend {
 public:
  CudaBackend(const AttentionInputs& inputs, const CudaOptions& options);

  DeviceProblem& problem() noexcept { return problem_; }
  const DeviceProblem& problem() const noexcept { return problem_; }
  // cuDNN's attention for the inputs that are shown, made when it is first asked for. Throws Error
  // with the reason where there is no cuDNN or it does not take them.
  std::shared_ptr<CudnnDense> cudnn();

  std::string_view name() const noexcept override { return "cuda"; }
  std::string pci_bus_id() const override { return cuda_device().pci_bus_id; }
  const AttentionInputs& inputs() const noexcept override { return problem_.inputs(); }
  void show(const AttentionInputs& inputs) override;
  std::unique_ptr<PreparedSelection> prepare(const LoadedPipeline& loaded) override;
  std::unique_ptr<SelectedMask> take(Mask mask) override;
  bool attends_on_host() const noexcept override { return false; }
  void fetch(const Plan& plan, AttentionOutput& output) override;
  AttentionWeights weigh(const SelectedMask& mask) override;
  StageTime time(Stage stage, const Timing& timing, const std::function<void()>& work) override;

 private:
  double time_on_wall(const std::function<void()>& work);
  double time_on_device(const std::function<void()>& work, const Timing& timing, bool uses_graph);

  Threads threads_;
  DeviceProblem problem_;
  std::shared_ptr<CudnnDense> cudnn_;
  DeviceBuffer<std::uint64_t> flush_;      // zeros, more than the second-level cache holds
  DeviceBuffer<std::uint64_t> flush_odd_;  // see ReadWords
  CudaEvent begin_, end_;
};

}  // namespace maskerade::cuda
