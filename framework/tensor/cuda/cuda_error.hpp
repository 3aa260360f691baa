#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "framework/base/error.hpp"

namespace maskerade {

// A call of the CUDA runtime that failed.
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

// Throws CudaError unless code is cudaSuccess. What is thrown is not left behind for the check of
// the next launch.
inline void check_cuda(cudaError_t code,
                       const char* call,
                       SourceLocation where = SourceLocation::current()) {
  if (code == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  throw CudaError(call, code, where);
}

// After a launch: throws CudaError when it was refused.
inline void check_launch(const char* kernel, SourceLocation where = SourceLocation::current()) {
  check_cuda(cudaGetLastError(), kernel, where);
}

}  // namespace maskerade
