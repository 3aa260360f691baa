#include "attention/cuda/detail/cudnn_dense.hpp"

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attention/cuda/cudnn_library.hpp"
#include "attention/cuda/detail/cudnn_attention_graph.hpp"
#include "framework/base/error.hpp"
#include "framework/tensor/cuda/device_buffer.hpp"

namespace maskerade::cuda {
#if MASKERADE_HAS_CUDNN_HEADERS
namespace {

// Owns a cuDNN handle whose work goes to a stream. Throws Error with cuDNN's text.
class CudnnHandle {
 public:
  CudnnHandle(const CudnnFunctions& cudnn, cudaStream_t stream) : cudnn_(cudnn) {
    cudnn.check(cudnn.create(&handle_), "cudnnCreate");
    const cudnnStatus_t status = cudnn.set_stream(handle_, stream);
    if (status != CUDNN_STATUS_SUCCESS) cudnn.destroy(handle_);
    cudnn.check(status, "cudnnSetStream");
  }
  ~CudnnHandle() { cudnn_.destroy(handle_); }
  CudnnHandle(const CudnnHandle&) = delete;
  CudnnHandle& operator=(const CudnnHandle&) = delete;
  cudnnHandle_t get() const noexcept { return handle_; }

 private:
  const CudnnFunctions& cudnn_;
  cudnnHandle_t handle_ = nullptr;
};

// The execution plan of the first engine that cuDNN can compile for the device. Throws Error with
// the last engine's problem when there is none.
CudnnDescriptor make_execution(const CudnnFunctions& cudnn,
                               cudnnHandle_t handle,
                               const std::vector<CudnnDescriptor>& engines) {
  std::string problem;
  for (const CudnnDescriptor& engine : engines) {
    try {
      CudnnDescriptor execution(cudnn, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      execution.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle);
      execution.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engine);
      execution.finalize();
      return execution;
    } catch (const Error& error) {
      problem = error.what();
    }
  }
  throw Error(problem);
}

}  // namespace

struct CudnnDense::State {
  State(const CudnnFunctions& functions, const AttentionInputs& inputs, cudaStream_t stream)
      : cudnn(functions),
        handle(functions, stream),
        scale(inputs.scale),
        masked(CudnnAttentionGraph::masked_logit(functions)),
        is_masked(CudnnAttentionGraph::is_masked(inputs)),
        query_len(static_cast<std::int32_t>(inputs.shape.query_len)),
        key_len(static_cast<std::int32_t>(inputs.shape.key_len)),
        graph(CudnnAttentionGraph::make(functions, inputs, handle.get())),
        engines(find_cudnn_engines(functions, graph, nullptr)),
        execution(make_execution(functions, handle.get(), engines)) {
    std::int64_t bytes = 0;
    std::int64_t count = 0;
    cudnn.check(cudnn.get_attribute(execution.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                    CUDNN_TYPE_INT64, 1, &count, &bytes),
                "cudnnBackendGetAttribute");
    workspace = {bytes, stream};
  }

  // Makes the pack of pointers with which the graph is executed.
  void describe(const AttendArguments& arguments, void* out) {
    using Id = CudnnAttentionGraph::Id;
    std::vector<std::int64_t> ids = {Id::kQ, Id::kK, Id::kV, Id::kOut, Id::kLse, Id::kScale};
    // Rationale for const_cast: cuDNN takes pointers to mutable memory also for what it only reads.
    std::vector<void*> pointers = {const_cast<void*>(arguments.q),
                                   const_cast<void*>(arguments.k),
                                   const_cast<void*>(arguments.v),
                                   out,
                                   arguments.lse,
                                   &scale};
    if (is_masked) {
      ids.push_back(Id::kMasked);
      pointers.push_back(&masked);
      if (query_len != key_len) {
        ids.insert(ids.end(), {Id::kKeyLen, Id::kQueryLen});
        pointers.insert(pointers.end(), {&key_len, &query_len});
      }
    }
    void* scratch = workspace.data();
    const auto count = static_cast<std::int64_t>(ids.size());
    pack.reset();
    pack.emplace(cudnn, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack->set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids.data());
    pack->set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers.data());
    pack->set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, scratch);
    pack->finalize();
  }

  const CudnnFunctions& cudnn;
  CudnnHandle handle;
  float scale;
  float masked;
  bool is_masked;
  std::int32_t query_len;
  std::int32_t key_len;
  CudnnGraph graph;
  std::vector<CudnnDescriptor> engines;
  CudnnDescriptor execution;
  DeviceBuffer<std::byte> workspace;
  std::optional<CudnnDescriptor> pack;
  std::array<const void*, 5> memory{};  // q, k, v, out and lse that the pack names
};

CudnnDense::CudnnDense(const AttentionInputs& inputs, cudaStream_t stream)
    : state_(std::make_unique<State>(cudnn_functions(), inputs, stream)) {}

void CudnnDense::attend(const AttendArguments& arguments, void* out) {
  State& state = *state_;
  // Rationale: the pack is made again only for other memory, since the device waits meanwhile.
  const std::array<const void*, 5> memory = {arguments.q, arguments.k, arguments.v, out,
                                             arguments.lse};
  if (!state.pack || state.memory != memory) state.describe(arguments, out);
  state.memory = memory;
  state.cudnn.check(
      state.cudnn.execute(state.handle.get(), state.execution.get(), state.pack->get()),
      "cudnnBackendExecute");
}

std::int64_t CudnnDense::workspace_bytes() const noexcept {
  return static_cast<std::int64_t>(state_->workspace.bytes());
}
#else

struct CudnnDense::State {};
CudnnDense::CudnnDense(const AttentionInputs&, cudaStream_t) {
  throw Error(cudnn_library().reason);
}
void CudnnDense::attend(const AttendArguments&, void*) {}
std::int64_t CudnnDense::workspace_bytes() const noexcept { return 0; }

#endif

CudnnDense::~CudnnDense() = default;
CudnnDense::CudnnDense(CudnnDense&&) noexcept = default;
CudnnDense& CudnnDense::operator=(CudnnDense&&) noexcept = default;

}  // namespace maskerade::cuda
