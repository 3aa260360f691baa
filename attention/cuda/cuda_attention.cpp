#include "attention/cuda/cuda_attention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <numbers>
#include <variant>
#include <vector>

#include "attention/cuda/cudnn_library.hpp"
#include "attention/cuda/detail/cudnn_dense.hpp"
#include "attention/cuda/detail/device_plan.hpp"
#include "attention/cuda/detail/kernels.hpp"
#include "attention/cuda/detail/tensor_tiles.hpp"
#include "framework/mask/cuda/device_mask.hpp"
#include "framework/pipeline/cuda/device_pipeline.hpp"
#include "framework/tensor/cuda/graph.hpp"
#include "framework/tensor/cuda/stream.hpp"

namespace maskerade {
namespace {

using cuda::CudnnDense;
using cuda::DeviceRowPlan;
using cuda::DeviceTilePlan;

// What a CudaPlan holds for cuDNN: the CudaAttention's kernel.
struct CudnnPlan {
  CudnnDense* kernel;
  std::int64_t keys;

  std::int64_t keys_touched() const noexcept { return keys; }
  std::int64_t size_bytes() const noexcept { return kernel->workspace_bytes(); }
};

constexpr std::int64_t kFewQueries = 16;  // below: rows
// Blocks that keep a device busy. Rationale: one number for all devices, so that the splits, and
// with them the results, are the same on each.
constexpr std::int64_t kWantedBlocks = 528;
constexpr std::int64_t kLeastKeysOfSplit = 256;

std::int64_t splits_of(std::int64_t row_blocks, std::int64_t key_len) {
  return std::clamp<std::int64_t>(kWantedBlocks / row_blocks, 1,
                                  std::max<std::int64_t>(key_len / kLeastKeysOfSplit, 1));
}

bool is_contiguous(const TensorView& tensor) {
  return tensor.row_stride == tensor.dim && tensor.head_stride == tensor.length * tensor.dim &&
         tensor.batch_stride == tensor.heads * tensor.length * tensor.dim;
}

DeviceBuffer<std::byte> upload_tensor(const TensorView& tensor, cudaStream_t stream) {
  const std::size_t row_bytes = static_cast<std::size_t>(tensor.dim) * size_of(tensor.dtype);
  const std::size_t bytes =
      static_cast<std::size_t>(tensor.batch * tensor.heads * tensor.length) * row_bytes;
  if (is_contiguous(tensor)) {
    return {std::span(static_cast<const std::byte*>(tensor.data), bytes), stream};
  }
  std::vector<std::byte> packed(bytes);
  std::byte* target = packed.data();
  for (std::int64_t b = 0; b < tensor.batch; ++b) {
    for (std::int64_t h = 0; h < tensor.heads; ++h) {
      for (std::int64_t i = 0; i < tensor.length; ++i, target += row_bytes) {
        std::memcpy(target, tensor.row(b, h, i), row_bytes);
      }
    }
  }
  DeviceBuffer<std::byte> buffer(std::span<const std::byte>(packed), stream);
  // Before `packed` goes.
  check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  return buffer;
}

// The same tensor, as upload_tensor packs it.
TensorView packed_view(const TensorView& tensor, const void* data) {
  TensorView packed = tensor;
  packed.data = data;
  packed.row_stride = tensor.dim;
  packed.head_stride = tensor.length * tensor.dim;
  packed.batch_stride = tensor.heads * packed.head_stride;
  return packed;
}

std::int32_t overflow_of(const CudnnPlan&) { return 0; }
template <typename Plan>
std::int32_t overflow_of(const Plan& plan) {
  return plan.overflow.download().front();
}

}  // namespace

struct CudaPipeline::State {
  PreparedPipeline prepared;
  DevicePipeline on_device;
};

struct CudaMask::State {
  DeviceSelection selection;
  Visibility visibility;
};

struct CudaPlan::State {
  std::variant<DeviceTilePlan, DeviceRowPlan, CudnnPlan> plan;
  std::string name;
  std::int64_t key_bytes;  // of K and V
};

struct CudaAttention::State {
  AttentionShape shape;
  DType dtype;
  double scale;
  CudaStream stream;
  DeviceBuffer<std::byte> q, k, v;
  DeviceTensors tensors;  // these
  DeviceBuffer<float> out, lse;
  DeviceBuffer<float> part_out, part_top, part_sum;
  DeviceBuffer<std::uint64_t> flush;      // zeros, more than the second-level cache holds
  DeviceBuffer<std::uint64_t> flush_odd;  // see ReadWords
  CudaEvent begin, end;
  cuda::AttendArguments arguments;
  std::optional<AttentionInputs> inputs;  // whose views are not to be read
  std::optional<CudnnDense> cudnn;        // made when first asked for

  bool has_warpgroup_kernel = false;  // for tiles

  bool has_matrix_kernel() const { return cuda::has_matrix_kernel(dtype, shape.head_dim); }
  const char* family() const { return has_matrix_kernel() ? "sm80" : "plain"; }
  const char* tile_family() const { return has_warpgroup_kernel ? "sm90" : family(); }

  cuda::AttendArguments split(std::int64_t row_blocks, std::int64_t rows) {
    cuda::AttendArguments split = arguments;
    split.splits = splits_of(row_blocks, shape.key_len);
    const std::int64_t parts = row_blocks * split.splits * rows;
    if (split.splits > 1 && part_top.size() < parts) {
      part_out = {parts * shape.head_dim, stream.get()};
      part_top = {parts, stream.get()};
      part_sum = {parts, stream.get()};
    }
    split.part_out = part_out.data();
    split.part_top = part_top.data();
    split.part_sum = part_sum.data();
    return split;
  }

  void attend(const cuda::TilePlan& plan) {
    const cuda::AttendArguments split = this->split(plan.layout.row_blocks(), cuda::kBlockRows);
    if (has_warpgroup_kernel) {
      cuda::attend_tiles_sm90(split, plan, dtype, stream.get());
    } else if (has_matrix_kernel()) {
      cuda::attend_tiles_sm80(split, plan, dtype, stream.get());
    } else {
      cuda::attend_tiles_plain(split, plan, dtype, stream.get());
    }
    if (split.splits > 1) cuda::merge_tile_parts(split, plan.layout, stream.get());
  }

  void attend(const cuda::RowPlan& plan) {
    const cuda::AttendArguments split = this->split(plan.layout.row_blocks(), cuda::kListRows);
    if (has_matrix_kernel()) {
      cuda::attend_rows_sm80(split, plan, dtype, stream.get());
    } else {
      cuda::attend_rows_plain(split, plan, dtype, stream.get());
    }
    if (split.splits > 1) cuda::merge_row_parts(split, plan.layout, stream.get());
  }

  void attend(const DeviceTilePlan& plan) { attend(plan.plan); }
  void attend(const DeviceRowPlan& plan) { attend(plan.plan); }
  void attend(const CudnnPlan& plan) { plan.kernel->attend(arguments); }
};

CudaMask::CudaMask(std::unique_ptr<State> state) : state_(std::move(state)) {}
CudaMask::CudaMask(CudaMask&&) noexcept = default;
CudaMask& CudaMask::operator=(CudaMask&&) noexcept = default;
CudaMask::~CudaMask() = default;

Mask CudaMask::download() const {
  state_->selection.check();
  return state_->selection.mask().download(state_->visibility);
}

std::vector<MaskerReport> CudaMask::maskers() const { return state_->selection.reports(); }

CudaPipeline::CudaPipeline(std::unique_ptr<State> state) : state_(std::move(state)) {}
CudaPipeline::CudaPipeline(CudaPipeline&&) noexcept = default;
CudaPipeline& CudaPipeline::operator=(CudaPipeline&&) noexcept = default;
CudaPipeline::~CudaPipeline() = default;

std::string CudaPipeline::selection_device() const { return state_->on_device.where(); }
bool CudaPipeline::is_all_on_device() const noexcept {
  return state_->on_device.is_all_on_device();
}

CudaPlan::CudaPlan(std::unique_ptr<State> state) : state_(std::move(state)) {}
CudaPlan::CudaPlan(CudaPlan&&) noexcept = default;
CudaPlan& CudaPlan::operator=(CudaPlan&&) noexcept = default;
CudaPlan::~CudaPlan() = default;

std::string CudaPlan::kernel_name() const { return state_->name; }

std::int64_t CudaPlan::kv_bytes_touched() const {
  return state_->key_bytes *
         std::visit([](const auto& plan) { return plan.keys_touched(); }, state_->plan);
}

std::int64_t CudaPlan::size_bytes() const noexcept {
  return std::visit([](const auto& plan) { return plan.size_bytes(); }, state_->plan);
}

CudaAttention::CudaAttention(const AttentionInputs& inputs, CudaFamily newest) {
  if (!cuda_device().is_available) throw Error(cuda_device().reason);
  inputs.validate();
  const AttentionShape& shape = inputs.shape;
  if (shape.head_dim > kMostCudaHeadDim) {
    throw ShapeError(fmt::format("head_dim is {}; the CUDA kernels take at most {}", shape.head_dim,
                                 kMostCudaHeadDim));
  }
  state_ = std::make_unique<State>();
  State& state = *state_;
  const cudaStream_t stream = state.stream.get();
  state.shape = shape;
  state.dtype = inputs.k.dtype;
  state.scale = inputs.scale;
  state.inputs = inputs;
  state.q = upload_tensor(inputs.q, stream);
  state.k = upload_tensor(inputs.k, stream);
  state.v = upload_tensor(inputs.v, stream);
  state.tensors = {packed_view(inputs.q, state.q.data()), packed_view(inputs.k, state.k.data()),
                   packed_view(inputs.v, state.v.data())};
  state.out = {shape.rows() * shape.head_dim, stream};
  state.lse = {shape.rows(), stream};
  state.flush = {2 * cuda_device().l2_bytes / std::int64_t{sizeof(std::uint64_t)}, stream};
  state.flush.fill_bytes(0);
  state.flush_odd = {1, stream};
  state.arguments = {.q = state.q.data(),
                     .k = state.k.data(),
                     .v = state.v.data(),
                     .kv_heads = shape.kv_heads,
                     .key_len = shape.key_len,
                     .head_dim = shape.head_dim,
                     .scale_log2 = static_cast<float>(inputs.scale * std::numbers::log2e),
                     .out = state.out.data(),
                     .lse = state.lse.data()};
  state.has_warpgroup_kernel =
      newest == CudaFamily::kSm90 && cuda_device().compute_capability == 90 &&
      state.has_matrix_kernel() && cuda::key_tiles(state.arguments, shape.batch).is_encodable() &&
      cuda::value_tiles(state.arguments, shape.batch).is_encodable() &&
      cuda::can_attend_tiles_sm90(state.arguments, shape.batch, state.dtype);
  state.stream.synchronize();
}

CudaAttention::~CudaAttention() = default;

CudaPipeline CudaAttention::take(PreparedPipeline prepared) {
  // Not moved once the device's side refers to it.
  auto state = std::unique_ptr<CudaPipeline::State>(new CudaPipeline::State{
      std::move(prepared), DevicePipeline(state_->tensors, state_->stream.get())});
  state->on_device.prepare(state->prepared);
  return CudaPipeline(std::move(state));
}

CudaMask CudaAttention::select(const CudaPipeline& pipeline, const Threads& threads) {
  const CudaPipeline::State& state = *pipeline.state_;
  return CudaMask(std::make_unique<CudaMask::State>(
      CudaMask::State{state.on_device.select(threads), state.prepared.inputs().visibility}));
}

void CudaAttention::synchronize() { state_->stream.synchronize(); }

CudaMask CudaAttention::upload(const Mask& mask) {
  check_fit(mask, state_->shape);
  return CudaMask(std::make_unique<CudaMask::State>(
      CudaMask::State{DeviceSelection::upload(mask, state_->stream.get()), mask.visibility()}));
}

CudaPlan CudaAttention::plan(const CudaMask& mask, std::optional<Kernel> kernel) {
  const AttentionShape& shape = state_->shape;
  const bool is_rows = kernel ? *kernel == Kernel::kRows : shape.query_len < kFewQueries;
  const std::int64_t key_bytes =
      2 * shape.head_dim * static_cast<std::int64_t>(size_of(state_->dtype));
  const cuda::MaskView& view = mask.state_->selection.mask().view();
  const cuda::MaskBounds& bounds = mask.state_->selection.bounds();
  const cudaStream_t stream = state_->stream.get();
  if (is_rows) {
    return CudaPlan(std::make_unique<CudaPlan::State>(
        CudaPlan::State{DeviceRowPlan(shape, view, bounds, stream),
                        fmt::format("rows {}", state_->family()), key_bytes}));
  }
  const bool is_dense = kernel == Kernel::kDense;
  DeviceTilePlan made(shape, view, bounds, is_dense, stream);
  if (state_->has_warpgroup_kernel) {
    made.pair_splits = splits_of(made.plan.layout.row_blocks(), shape.key_len);
  }
  return CudaPlan(std::make_unique<CudaPlan::State>(CudaPlan::State{
      std::move(made), fmt::format("{} {}", is_dense ? "dense" : "tiles", state_->tile_family()),
      key_bytes}));
}

CudaPlan CudaAttention::plan_cudnn() {
  State& state = *state_;
  if (!state.cudnn) state.cudnn.emplace(*state.inputs, state.stream.get());
  const AttentionShape& shape = state.shape;
  const std::int64_t keys = shape.batch * shape.kv_heads * shape.key_len;
  return CudaPlan(std::make_unique<CudaPlan::State>(
      CudaPlan::State{CudnnPlan{&*state.cudnn, keys}, "dense cuDNN " + cudnn_library().version,
                      2 * shape.head_dim * static_cast<std::int64_t>(size_of(state.dtype))}));
}

void CudaAttention::attend(const CudaPlan& plan) {
  std::visit([this](const auto& made) { state_->attend(made); }, plan.state_->plan);
}

void CudaAttention::poison() {
  constexpr int kNaNBytes = 0xFF;
  state_->out.fill_bytes(kNaNBytes);
  state_->lse.fill_bytes(kNaNBytes);
  if (state_->cudnn) state_->cudnn->fill_out(kNaNBytes);
}

void CudaAttention::download(const CudaPlan& plan, AttentionOutput& output) {
  output.resize(state_->shape);
  state_->lse.download(std::span(output.lse));
  if (const auto* cudnn = std::get_if<CudnnPlan>(&plan.state_->plan)) {
    cudnn->kernel->download_out(output.out);
    return;
  }
  state_->out.download(std::span(output.out));
  const std::int32_t overflow =
      std::visit([](const auto& made) { return overflow_of(made); }, plan.state_->plan);
  if (overflow != 0) {
    throw Error("the " + plan.kernel_name() +
                " plan is larger than the upper bounds that were stated for its mask");
  }
}

CudaOracle CudaAttention::attend_oracle(const CudaMask& mask) {
  const AttentionShape& shape = state_->shape;
  const cudaStream_t stream = state_->stream.get();
  const DeviceBuffer<double> out(shape.rows() * shape.head_dim, stream);
  const DeviceBuffer<double> lse(shape.rows(), stream);
  cuda::attend_oracle({.attend = state_->arguments,
                       .scale = state_->scale,
                       .dtype = state_->dtype,
                       .mask = mask.state_->selection.mask().view(),
                       .query_heads = shape.query_heads,
                       .out = out.data(),
                       .lse = lse.data()},
                      shape.rows(), stream);
  return {out.download(), lse.download()};
}

double CudaAttention::time_ms(const std::function<void()>& enqueue,
                              CudaCache cache,
                              CudaLaunch launch) {
  const cudaStream_t stream = state_->stream.get();
  std::optional<CudaGraph> graph;
  if (launch == CudaLaunch::kGraph) graph.emplace(CudaGraph::record(stream, enqueue));
  if (cache == CudaCache::kCold) {
    // Rationale: read, not written: lines to be written back would take time of what is timed.
    cuda::read_words({state_->flush.data(), state_->flush_odd.data()}, state_->flush.size(),
                     stream);
  }
  state_->begin.record(stream);
  graph ? graph->launch(stream) : enqueue();
  state_->end.record(stream);
  return state_->end.ms_since(state_->begin);
}

}  // namespace maskerade
