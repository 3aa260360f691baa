#include "attention/cuda/cuda_attention.hpp"
#include "attention/cuda/matrix_shapes.hpp"

namespace maskerade {

DType cuda_arithmetic(DType dtype, std::int64_t head_dim) noexcept {
  return cuda::has_matrix_kernel(dtype, head_dim) ? dtype : DType::kFloat32;
}

}  // namespace maskerade
