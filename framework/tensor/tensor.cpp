#include "framework/tensor/tensor.hpp"

#include <new>

namespace maskerade {
namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

std::unique_ptr<float[], void (*)(float*)> aligned_floats(std::size_t count) {
  auto* memory = static_cast<float*>(::operator new(count * sizeof(float), kAlignment));
  return {memory, [](float* pointer) { ::operator delete(pointer, kAlignment); }};
}

Tensor Tensor::from_floats(DType dtype,
                           std::int64_t batch,
                           std::int64_t heads,
                           std::int64_t length,
                           std::int64_t dim,
                           const float* values) {
  const auto count = static_cast<std::size_t>(batch * heads * length * dim);
  std::shared_ptr<void> memory(::operator new(count* size_of(dtype), kAlignment),
                               [](void* pointer) { ::operator delete(pointer, kAlignment); });
  convert_from_float(dtype, values, count, memory.get());
  const TensorView view{.data = memory.get(),
                        .dtype = dtype,
                        .batch = batch,
                        .heads = heads,
                        .length = length,
                        .dim = dim,
                        .batch_stride = heads * length * dim,
                        .head_stride = length * dim,
                        .row_stride = dim};
  return Tensor(view, std::move(memory));
}

}  // namespace maskerade
