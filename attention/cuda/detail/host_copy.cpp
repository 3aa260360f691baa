#include "attention/cuda/detail/host_copy.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "attention/backend/backend.hpp"
#include "framework/tensor/cuda/cuda_error.hpp"

namespace maskerade::cuda {

AttentionInputs HostCopy::view(const AttentionInputs& inputs, cudaStream_t stream) {
  AttentionInputs viewed = inputs;
  if (inputs.q.memory == MemorySpace::kDevice) {
    viewed.q = copy(inputs.q, 0, inputs.q.length, q_, stream);
  }
  if (inputs.k.memory == MemorySpace::kDevice || inputs.v.memory == MemorySpace::kDevice) {
    const std::int64_t keys = inputs.shape.key_len;
    if (copied_keys_ == 0) key_room_ = std::max(key_room_, keys);
    if (keys > key_room_) {
      throw UnavailableError(fmt::format(
          "the sequence has {} keys and a masker runs on the host, where there is room for {}; "
          "open the backend with a key_capacity of {} or more",
          keys, key_room_, keys));
    }
    viewed.k = copy(inputs.k, copied_keys_, key_room_, k_, stream);
    viewed.v = copy(inputs.v, copied_keys_, key_room_, v_, stream);
    copied_keys_ = keys;
  }
  check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  return viewed;
}

TensorView HostCopy::copy(const TensorView& tensor,
                          std::int64_t first,
                          std::int64_t room,
                          std::vector<std::byte>& bytes,
                          cudaStream_t stream) {
  if (tensor.memory == MemorySpace::kHost) return tensor;
  const std::int64_t row_bytes = tensor.dim * static_cast<std::int64_t>(size_of(tensor.dtype));
  first = std::min(first, tensor.length);
  bytes.resize(static_cast<std::size_t>(tensor.batch * tensor.heads * room * row_bytes));
  for (std::int64_t b = 0; b < tensor.batch && first < tensor.length; ++b) {
    for (std::int64_t h = 0; h < tensor.heads; ++h) {
      check_cuda(
          cudaMemcpy2DAsync(bytes.data() + ((b * tensor.heads + h) * room + first) * row_bytes,
                            static_cast<std::size_t>(row_bytes), tensor.row(b, h, first),
                            static_cast<std::size_t>(tensor.row_stride * row_bytes / tensor.dim),
                            static_cast<std::size_t>(row_bytes),
                            static_cast<std::size_t>(tensor.length - first), cudaMemcpyDeviceToHost,
                            stream),
          "cudaMemcpy2DAsync to the host");
    }
  }
  TensorView view = tensor;
  view.data = bytes.data();
  view.row_stride = tensor.dim;
  view.head_stride = room * tensor.dim;
  view.batch_stride = tensor.heads * view.head_stride;
  view.memory = MemorySpace::kHost;
  return view;
}

}  // namespace maskerade::cuda
