#pragma once

#include <cstdint>

#include "framework/tensor/dtype.hpp"

namespace maskerade {

// Largest head_dim of the CUDA kernels.
inline constexpr std::int64_t kMostCudaHeadDim = 256;

}  // namespace maskerade

namespace maskerade::cuda {

// Whether matrix products have a kernel for it; otherwise the plain kernels take it.
constexpr bool has_matrix_kernel(DType dtype, std::int64_t head_dim) {
  return dtype != DType::kFloat32 && (head_dim == 64 || head_dim == 128);
}

}  // namespace maskerade::cuda
