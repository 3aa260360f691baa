#pragma once

#include <cstdint>

#include "framework/tensor/dtype.hpp"

namespace maskerade {

// The largest head_dim that the CUDA kernels serve.
inline constexpr std::int64_t kMostCudaHeadDim = 256;

}  // namespace maskerade

namespace maskerade::cuda {

// Whether kernels that use matrix products serve this dtype and head_dim; the plain kernels, in
// float32 arithmetic, serve the others.
constexpr bool has_matrix_kernel(DType dtype, std::int64_t head_dim) {
  return dtype != DType::kFloat32 && (head_dim == 64 || head_dim == 128);
}

}  // namespace maskerade::cuda
