#pragma once

#include <cuda_runtime_api.h>

#include <utility>

#include "framework/tensor/cuda/cuda_error.hpp"

namespace maskerade {

// Work that was recorded while it was enqueued in a stream, to be enqueued again as a whole, which
// costs the host one call. Can be moved, not copied.
class CudaGraph {
 public:
  // Calls body(), which enqueues work in `stream` and allocates no memory, records the work without
  // running it, and prepares it for launch(). Throws what body throws, and CudaError when something
  // that it did cannot be recorded.
  template <typename Body>
  static CudaGraph record(cudaStream_t stream, const Body& body) {
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
               "cudaStreamBeginCapture");
    cudaGraph_t recorded = nullptr;
    try {
      body();
    } catch (...) {
      if (cudaStreamEndCapture(stream, &recorded) == cudaSuccess) cudaGraphDestroy(recorded);
      static_cast<void>(cudaGetLastError());
      throw;
    }
    check_cuda(cudaStreamEndCapture(stream, &recorded), "cudaStreamEndCapture");
    CudaGraph graph;
    const cudaError_t code = cudaGraphInstantiate(&graph.graph_, recorded, 0);
    cudaGraphDestroy(recorded);
    check_cuda(code, "cudaGraphInstantiate");
    check_cuda(cudaGraphUpload(graph.graph_, stream), "cudaGraphUpload");
    return graph;
  }
  ~CudaGraph() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  }
  CudaGraph(CudaGraph&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
  CudaGraph& operator=(CudaGraph&&) = delete;

  // Enqueues the recorded work. Throws CudaError.
  void launch(cudaStream_t stream) const {
    check_cuda(cudaGraphLaunch(graph_, stream), "cudaGraphLaunch");
  }

 private:
  CudaGraph() = default;

  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace maskerade
