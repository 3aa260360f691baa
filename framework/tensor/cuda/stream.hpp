#pragma once

#include <cuda_runtime_api.h>

#include "framework/tensor/cuda/cuda_error.hpp"

namespace maskerade {

// Owns a CUDA stream, which does not wait for the default stream. Can be moved, not copied.
class CudaStream {
 public:
  CudaStream() {
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  ~CudaStream() {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  CudaStream(CudaStream&& other) noexcept : stream_(other.stream_) { other.stream_ = nullptr; }
  CudaStream& operator=(CudaStream&&) = delete;

  cudaStream_t get() const noexcept { return stream_; }
  // Waits until all enqueued work is done. Throws CudaError when any of it failed.
  void synchronize() const { check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

 private:
  cudaStream_t stream_ = nullptr;
};

// Owns a CUDA event: a point in the work of a stream and the time at which it was reached. Can be
// moved, not copied.
class CudaEvent {
 public:
  CudaEvent() { check_cuda(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~CudaEvent() {
    if (event_ != nullptr) cudaEventDestroy(event_);
  }
  CudaEvent(CudaEvent&& other) noexcept : event_(other.event_) { other.event_ = nullptr; }
  CudaEvent& operator=(CudaEvent&&) = delete;

  // Puts the event after the work that the stream has so far.
  void record(cudaStream_t stream) {
    check_cuda(cudaEventRecord(event_, stream), "cudaEventRecord");
  }
  // Waits until this event is reached and gives the milliseconds since `begin` was. Both must have
  // been recorded. Throws CudaError.
  double ms_since(const CudaEvent& begin) const {
    check_cuda(cudaEventSynchronize(event_), "cudaEventSynchronize");
    float ms = 0;
    check_cuda(cudaEventElapsedTime(&ms, begin.event_, event_), "cudaEventElapsedTime");
    return ms;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace maskerade
