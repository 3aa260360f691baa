#include "attention/cuda/cuda_kernels.hpp"

#include <fmt/format.h>

#include <utility>

#include "attention/cuda/cudnn_library.hpp"
#include "attention/cuda/detail/cuda_backend.hpp"
#include "attention/cuda/detail/device_plan.hpp"
#include "framework/tensor/cuda/cuda_error.hpp"

namespace maskerade {
namespace cuda {
namespace {

constexpr std::int64_t kFewQueries = 16;  // below: rows, where heads share what they read

CudaBackend& cuda_of(Backend& backend) { return static_cast<CudaBackend&>(backend); }
// Throws ShapeError when the mask is of other lengths than what the problem shows.
const DeviceSelection& selection_of(const SelectedMask& mask, const DeviceProblem& problem) {
  const DeviceSelection& selection = static_cast<const CudaMask&>(mask).selection();
  const MaskView& view = selection.mask().view();
  const AttentionShape& shape = problem.shape();
  if (view.query_len != shape.query_len || view.key_len != shape.key_len) {
    throw ShapeError(fmt::format("the mask is {} x {}; the shape asks for {} x {}", view.query_len,
                                 view.key_len, shape.query_len, shape.key_len));
  }
  return selection;
}

// The arithmetic of our own kernels.
DType own_arithmetic(const DeviceProblem& problem) {
  return cuda_arithmetic(problem.dtype(), problem.shape().head_dim);
}

// What all CUDA kernels have in common: they take every mask, attend as their plan says, and
// nothing is predicted.
class CudaKernel : public Kernel {
 public:
  std::string refusal(const Backend&, const SelectedMask&) const override { return ""; }
  void attend(Backend& backend, const Plan& plan, AttentionOutput&) const override {
    DeviceProblem& problem = cuda_of(backend).problem();
    const auto& planned = static_cast<const CudaPlan&>(plan);
    planned.check_fit(problem);
    planned.attend(problem);
  }
  std::optional<double> predicted_ns(const Backend&, const Plan&) const override {
    return std::nullopt;
  }
};

// Lists of tiles.
class PlanOfTiles final : public CudaPlan {
 public:
  PlanOfTiles(const DeviceProblem& problem, const DeviceSelection& selection, bool is_dense)
      : CudaPlan(fmt::format("{} {}", is_dense ? "dense" : "tiles", problem.tile_family()),
                 own_arithmetic(problem),
                 problem),
        tiles_(problem.shape(),
               selection.mask().view(),
               selection.bounds(),
               is_dense,
               problem.stream().get()) {
    if (problem.has_warpgroup_kernel()) {
      tiles_.pair_splits = problem.splits_of(tiles_.plan.layout.row_blocks());
    }
  }
  std::int64_t size_bytes() const override { return tiles_.size_bytes(); }
  void attend(DeviceProblem& problem) const override { problem.attend(tiles_.plan); }

 private:
  std::int64_t keys_touched() const override { return tiles_.keys_touched(); }
  std::int32_t overflow() const override { return tiles_.overflow.download().front(); }

  DeviceTilePlan tiles_;
};

class TilesKernel final : public CudaKernel {
 public:
  explicit TilesKernel(bool is_dense) : is_dense_(is_dense) {}
  std::unique_ptr<Plan> plan(Backend& backend, const SelectedMask& mask) const override {
    const DeviceProblem& problem = cuda_of(backend).problem();
    return std::make_unique<PlanOfTiles>(problem, selection_of(mask, problem), is_dense_);
  }

 private:
  bool is_dense_;
};

// Lists of keys.
class PlanOfRows final : public CudaPlan {
 public:
  PlanOfRows(const DeviceProblem& problem, const DeviceSelection& selection)
      : CudaPlan(fmt::format("rows {}", problem.family()), own_arithmetic(problem), problem),
        rows_(
            problem.shape(), selection.mask().view(), selection.bounds(), problem.stream().get()) {}
  std::int64_t size_bytes() const override { return rows_.size_bytes(); }
  void attend(DeviceProblem& problem) const override { problem.attend(rows_.plan); }

 private:
  std::int64_t keys_touched() const override { return rows_.keys_touched(); }
  std::int32_t overflow() const override { return rows_.overflow.download().front(); }

  DeviceRowPlan rows_;
};

class RowsKernel final : public CudaKernel {
 public:
  std::unique_ptr<Plan> plan(Backend& backend, const SelectedMask& mask) const override {
    const DeviceProblem& problem = cuda_of(backend).problem();
    return std::make_unique<PlanOfRows>(problem, selection_of(mask, problem));
  }
};

class AutoKernel final : public CudaKernel {
 public:
  std::unique_ptr<Plan> plan(Backend& backend, const SelectedMask& mask) const override {
    const bool is_rows = backend.inputs().shape.query_len < kFewQueries;
    return (is_rows ? cuda_rows_kernel() : cuda_tiles_kernel()).plan(backend, mask);
  }
};

// Runs what asks cuDNN for something. What cuDNN refuses is unavailable; an error of the device
// stays one.
template <typename Body>
auto unless_unavailable(const Body& body) {
  try {
    return body();
  } catch (const CudaError&) {
    throw;
  } catch (const Error& error) {
    throw UnavailableError(error.what());
  }
}

// cuDNN reads every key once for each kv head.
class PlanOfCudnn final : public CudaPlan {
 public:
  PlanOfCudnn(std::shared_ptr<CudnnDense> cudnn, const DeviceProblem& problem)
      : CudaPlan("dense cuDNN " + cudnn_library().version, problem.dtype(), problem),
        cudnn_(std::move(cudnn)),
        dtype_(problem.dtype()),
        keys_(problem.shape().batch * problem.shape().kv_heads * problem.shape().key_len) {}
  std::int64_t size_bytes() const override { return cudnn_->workspace_bytes(); }
  void attend(DeviceProblem& problem) const override {
    unless_unavailable([&] { cudnn_->attend(problem.arguments(), problem.stored_out().data()); });
  }
  void fetch_out(const DeviceProblem& problem, std::span<float> out) const override {
    const std::vector<std::uint16_t> stored = problem.stored_out().download();
    convert_to_float(dtype_, stored.data(), stored.size(), out.data());
  }

 private:
  std::int64_t keys_touched() const override { return keys_; }

  std::shared_ptr<CudnnDense> cudnn_;
  DType dtype_;
  std::int64_t keys_;
};

class CudnnKernel final : public CudaKernel {
 public:
  std::string refusal(const Backend&, const SelectedMask& mask) const override {
    const Mask& selected = mask.on_host();
    if (selected == Mask::full(selected.visibility(), selected.extent())) return "";
    return "it attends to every visible key, and the mask leaves some out";
  }
  std::unique_ptr<Plan> plan(Backend& backend, const SelectedMask&) const override {
    CudaBackend& cuda = cuda_of(backend);
    return unless_unavailable(
        [&] { return std::make_unique<PlanOfCudnn>(cuda.cudnn(), cuda.problem()); });
  }
};

}  // namespace
}  // namespace cuda

const Kernel& cuda_auto_kernel() {
  static const cuda::AutoKernel kernel;
  return kernel;
}
const Kernel& cuda_cudnn_kernel() {
  static const cuda::CudnnKernel kernel;
  return kernel;
}
const Kernel& cuda_dense_kernel() {
  static const cuda::TilesKernel kernel(true);
  return kernel;
}
const Kernel& cuda_tiles_kernel() {
  static const cuda::TilesKernel kernel(false);
  return kernel;
}
const Kernel& cuda_rows_kernel() {
  static const cuda::RowsKernel kernel;
  return kernel;
}

}  // namespace maskerade
