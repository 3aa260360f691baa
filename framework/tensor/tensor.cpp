#include "framework/tensor/tensor.hpp"

#include "framework/tensor/owned_tensor.hpp"

namespace maskerade {

Tensor Tensor::from_floats(DType dtype,
                           std::int64_t batch,
                           std::int64_t heads,
                           std::int64_t length,
                           std::int64_t dim,
                           const float* values) {
  const OwnedTensor tensor = new_tensor(dtype, batch, heads, length, dim);
  convert_from_float(dtype, values, static_cast<std::size_t>(batch * heads * length * dim),
                     tensor.memory.get());
  return tensor.finish();
}

}  // namespace maskerade
