#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "framework/base/error.hpp"

namespace maskerade {

// A call of the CUDA runtime failed. call() is the function or kernel, code() what CUDA returned.
class CudaError : public Error {
 public:
  CudaError(const std::string& call,
            cudaError_t code,
            SourceLocation where = SourceLocation::current())
      : Error(call + " failed with CUDA error " + std::to_string(static_cast<int>(code)) + " (" +
                  cudaGetErrorString(code) + ")",
              where),
        call_(call),
        code_(code) {}
  const std::string& call() const noexcept { return call_; }
  cudaError_t code() const noexcept { return code_; }

 private:
  std::string call_;
  cudaError_t code_;
};

// Throws CudaError unless code is cudaSuccess. Clears CUDA's record of the last error, so that the
// check of the next launch does not report this one again.
inline void check_cuda(cudaError_t code,
                       const char* call,
                       SourceLocation where = SourceLocation::current()) {
  if (code == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  throw CudaError(call, code, where);
}

// To be called after the launch of a kernel: throws CudaError when CUDA refused the launch.
inline void check_launch(const char* kernel, SourceLocation where = SourceLocation::current()) {
  check_cuda(cudaGetLastError(), kernel, where);
}

}  // namespace maskerade
