#include <fmt/format.h>

#include "attention/cuda/cuda_backend.hpp"
#include "attention/cuda/matrix_shapes.hpp"

namespace maskerade {

DType cuda_arithmetic(DType dtype, std::int64_t head_dim) noexcept {
  return cuda::has_matrix_kernel(dtype, head_dim) ? dtype : DType::kFloat32;
}

std::string cuda_refusal(const AttentionShape& shape) {
  if (shape.head_dim <= kMostCudaHeadDim) return "";
  return fmt::format("head_dim is {}; the CUDA kernels take at most {}", shape.head_dim,
                     kMostCudaHeadDim);
}

}  // namespace maskerade
