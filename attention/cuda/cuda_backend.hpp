#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "attention/backend/backend.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

// The newest family of kernels that the CUDA backend uses. Tests and comparisons want older ones
// too.
enum class CudaFamily {
  kSm80,  // products of a warp
  kSm90,  // products of warpgroups for tiles, where the device and the shape have them
};

struct CudaOptions {
  Threads threads = Threads::all_processors();  // for maskers that run on the CPU
  std::int64_t key_capacity = 0;                // keys to make room for
  CudaFamily newest = CudaFamily::kSm90;
};

// Opens the backend of the CUDA device (see cuda_device): work goes through one stream of its own.
// q, k and v in host memory are copied; k and v that lie in the device's memory, rows following
// each other and heads at one distance, are read where they are. Throws UnavailableError with the
// device's reason where there is none, or in a build without nvcc; ShapeError; CudaError.
std::unique_ptr<Backend> open_cuda_backend(const AttentionInputs& inputs,
                                           const CudaOptions& options);

// Why the kernels cannot take a problem of this shape; "" when they can.
std::string cuda_refusal(const AttentionShape& shape);

// The storage type whose rounding the kernels' arithmetic has: float32 where they use no matrix
// products.
DType cuda_arithmetic(DType dtype, std::int64_t head_dim) noexcept;

}  // namespace maskerade
