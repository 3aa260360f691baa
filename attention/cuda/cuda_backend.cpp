#include "attention/cuda/cuda_backend.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "attention/cuda/detail/cuda_backend.hpp"
#include "attention/cuda/detail/host_copy.hpp"
#include "attention/cuda/detail/kernels.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/tensor/cuda/graph.hpp"

namespace maskerade {
namespace cuda {
namespace {

// Whether some masker of a pipeline reads q, k or v on the host. Where heads take routes, all do.
bool reads_on_host(const Pipeline& pipeline) {
  constexpr std::uint32_t kData =
      MASKERADE_DEPENDS_QUERY | MASKERADE_DEPENDS_KEY | MASKERADE_DEPENDS_VALUE;
  const auto reads = [&](const MaskerUse& use) {
    const bool runs_on_device =
        use.type->extension<maskerade_cuda_extension>() != nullptr && pipeline.routes().empty();
    return use.type->depends_on(kData) &&
           (!runs_on_device || use.type->extension<maskerade_index_extension>() != nullptr);
  };
  const auto any_reads = [&](const std::vector<MaskerUse>& maskers) {
    return std::any_of(maskers.begin(), maskers.end(), reads);
  };
  return any_reads(pipeline.maskers()) ||
         std::any_of(pipeline.routes().begin(), pipeline.routes().end(),
                     [&](const HeadRoute& route) { return any_reads(route.maskers); });
}

// A pipeline that selects on the device where its maskers can.
class CudaSelection final : public PreparedSelection {
 public:
  CudaSelection(const DeviceProblem& problem,
                const LoadedPipeline& loaded,
                std::int64_t key_room,
                const Threads& threads)
      : stream_(problem.stream().get()),
        reads_on_host_(reads_on_host(loaded.pipeline())),
        host_copy_(key_room),
        prepared_(loaded.prepare(view(problem.inputs()), threads)),
        on_device_(problem.tensors(), stream_),
        problem_(problem),
        threads_(threads) {
    on_device_.prepare(prepared_);
    if (reads_on_host_ || on_device_.is_all_on_device()) return;
    // A masker with a device path may decline to run there, as its bounds() says.
    reads_on_host_ = true;
    prepared_ = loaded.prepare(view(problem.inputs()), threads);
    on_device_.prepare(prepared_);
  }

  std::string device() const override { return on_device_.where(); }
  bool waits_for_host() const override { return !on_device_.is_all_on_device(); }
  std::unique_ptr<SelectedMask> select() override {
    check_shown(prepared_.inputs());
    refresh();
    return std::make_unique<CudaMask>(on_device_.select(threads_), prepared_.inputs().visibility);
  }
  void append(const AttentionInputs& inputs) override {
    check_shown(inputs);
    prepared_.append(view(inputs), threads_);
    is_stale_ = true;
    refresh();
  }
  void truncate(const AttentionInputs& inputs) override {
    prepared_.truncate(view(inputs), threads_);
    is_stale_ = true;
  }

 private:
  AttentionInputs view(const AttentionInputs& inputs) {
    return reads_on_host_ ? host_copy_.view(inputs, stream_) : inputs;
  }
  // Throws ShapeError unless the backend shows inputs of this shape.
  void check_shown(const AttentionInputs& inputs) const {
    if (inputs.shape == problem_.shape()) return;
    throw ShapeError("the pipeline has inputs of shape " + inputs.shape.to_string() +
                     ", the cuda backend shows " + problem_.shape().to_string());
  }
  // Copies what the maskers' indexes have come to want on the device.
  void refresh() {
    if (!is_stale_) return;
    on_device_.prepare(prepared_);
    is_stale_ = false;
  }

  cudaStream_t stream_;
  bool reads_on_host_;
  HostCopy host_copy_;
  PreparedPipeline prepared_;
  DevicePipeline on_device_;
  const DeviceProblem& problem_;
  bool is_stale_ = false;  // whether the device's side is that of other keys
  Threads threads_;
};

const CudaMask& cuda_mask(const SelectedMask& mask) { return static_cast<const CudaMask&>(mask); }

}  // namespace

Mask CudaMask::download() const {
  selection_.check();
  return selection_.mask().download(visibility_);
}

const Mask& CudaMask::on_host() const {
  if (downloaded_ == nullptr) downloaded_ = std::make_unique<const Mask>(download());
  return *downloaded_;
}

bool CudaMask::is_intact() const { return download() == on_host(); }

void CudaPlan::check_fit(const DeviceProblem& problem) const {
  const bool is_same_shape = problem.shape() == shape_;
  if (is_same_shape && problem.arguments().room() == key_room_) return;
  throw ShapeError("the plan is for shape " + shape_.to_string() + ", the inputs have shape " +
                   problem.shape().to_string() + (is_same_shape ? " and have moved" : ""));
}

void CudaPlan::fetch_out(const DeviceProblem& problem, std::span<float> out) const {
  problem.out().download(out);
  if (overflow() != 0) {
    throw Error("the " + kernel_mix() +
                " plan is larger than the upper bounds that were stated for its mask");
  }
}

CudaBackend::CudaBackend(const AttentionInputs& inputs, const CudaOptions& options)
    : threads_(options.threads),
      problem_(inputs, options),
      flush_(2 * cuda_device().l2_bytes / std::int64_t{sizeof(std::uint64_t)},
             problem_.stream().get()),
      flush_odd_(1, problem_.stream().get()) {
  flush_.fill_bytes(0);
  problem_.stream().synchronize();
}

std::shared_ptr<CudnnDense> CudaBackend::cudnn() {
  if (cudnn_ == nullptr) {
    AttentionInputs on_device = problem_.inputs();
    on_device.q = problem_.tensors().q;
    on_device.k = problem_.tensors().k;
    on_device.v = problem_.tensors().v;
    cudnn_ = std::make_shared<CudnnDense>(on_device, problem_.stream().get());
  }
  return cudnn_;
}

void CudaBackend::show(const AttentionInputs& inputs) {
  problem_.show(inputs);
  cudnn_.reset();
}

std::unique_ptr<PreparedSelection> CudaBackend::prepare(const LoadedPipeline& loaded) {
  return std::make_unique<CudaSelection>(problem_, loaded, problem_.arguments().room(), threads_);
}

std::unique_ptr<SelectedMask> CudaBackend::take(Mask mask) {
  check_fit(mask, problem_.shape());
  return std::make_unique<CudaMask>(DeviceSelection::upload(mask, problem_.stream().get()),
                                    mask.visibility());
}

void CudaBackend::fetch(const Plan& plan, AttentionOutput& output) {
  output.resize(problem_.shape());
  problem_.lse().download(std::span(output.lse));
  static_cast<const CudaPlan&>(plan).fetch_out(problem_, std::span<float>(output.out));
}

AttentionWeights CudaBackend::weigh(const SelectedMask& mask) {
  const AttentionShape& shape = problem_.shape();
  const cudaStream_t stream = problem_.stream().get();
  MaskEntries entries = entries_of(cuda_mask(mask).on_host(), shape);
  const auto count = static_cast<std::int64_t>(entries.keys.size());
  const DeviceBuffer<std::int64_t> offsets(std::span<const std::int64_t>(entries.offsets), stream);
  const DeviceBuffer<std::int32_t> keys(std::span<const std::int32_t>(entries.keys), stream);
  const DeviceBuffer<float> biases(std::span<const float>(entries.biases), stream);
  const DeviceBuffer<double> logits(count, stream);
  const DeviceBuffer<float> weights(count, stream);
  weigh_rows({.attend = problem_.arguments(),
              .scale = problem_.inputs().scale,
              .dtype = problem_.dtype(),
              .query_heads = shape.query_heads,
              .query_len = shape.query_len,
              .offsets = offsets.data(),
              .keys = keys.data(),
              .biases = biases.data(),
              .logits = logits.data(),
              .weights = weights.data()},
             shape.rows(), stream);
  return {.offsets = std::move(entries.offsets),
          .keys = std::move(entries.keys),
          .weights = weights.download()};
}

StageTime CudaBackend::time(Stage stage, const Timing& timing, const std::function<void()>& work) {
  if (stage == Stage::kPrepare || timing.waits_for_host) {
    return {.ms = time_on_wall(work), .launch_ms = {}};
  }
  if (stage != Stage::kAttend) {
    if (timing.is_warm) work();
    return {.ms = time_on_device(work, timing, false), .launch_ms = {}};
  }
  // Once before: its K and V are what a warm cache holds, and a graph cannot allocate.
  if (timing.is_warm || timing.uses_graph) work();
  problem_.poison();
  const double each = time_on_device(work, timing, false);
  if (!timing.uses_graph) return {.ms = each, .launch_ms = {}};
  problem_.poison();
  const double graph = time_on_device(work, timing, true);
  return {.ms = graph, .launch_ms = each - graph};
}

double CudaBackend::time_on_wall(const std::function<void()>& work) {
  problem_.stream().synchronize();
  const Stopwatch stopwatch;
  work();
  problem_.stream().synchronize();
  return stopwatch.elapsed_ms();
}

double CudaBackend::time_on_device(const std::function<void()>& work,
                                   const Timing& timing,
                                   bool uses_graph) {
  const cudaStream_t stream = problem_.stream().get();
  std::optional<CudaGraph> graph;
  if (uses_graph) graph.emplace(CudaGraph::record(stream, work));
  if (!timing.is_warm) {
    // Rationale: read, not written: lines to be written back would take time of what is timed.
    read_words({flush_.data(), flush_odd_.data()}, flush_.size(), stream);
  }
  begin_.record(stream);
  graph ? graph->launch(stream) : work();
  end_.record(stream);
  return end_.ms_since(begin_);
}

}  // namespace cuda

std::unique_ptr<Backend> open_cuda_backend(const AttentionInputs& inputs,
                                           const CudaOptions& options) {
  if (!cuda_device().is_available) throw UnavailableError(cuda_device().reason);
  return std::make_unique<cuda::CudaBackend>(inputs, options);
}

}  // namespace maskerade
