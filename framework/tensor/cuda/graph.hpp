#pragma once

#include <cuda_runtime_api.h>

#include <utility>

#include "framework/tensor/cuda/cuda_error.hpp"

namespace maskerade {

// What was enqueued in a stream, recorded instead of run, to be enqueued as a whole. Moves only.
class CudaGraph {
 public:
  // Calls body, which enqueues in `stream` and allocates nothing, and readies what it enqueued.
  // Throws what body throws, and CudaError when something of it cannot be recorded.
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

  void launch(cudaStream_t stream) const {
    check_cuda(cudaGraphLaunch(graph_, stream), "cudaGraphLaunch");
  }

 private:
  CudaGraph() = default;

  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace maskerade
