#pragma once

#include <cstdint>

#include "framework/tensor/tensor.hpp"

namespace maskerade {

// Reads every element through the strides, so that the sanitizer sees those that lie outside.
inline void read_every_element(const Tensor& tensor) {
  const TensorView view = tensor.view();
  volatile float sum = 0;
  for (std::int64_t b = 0; b < view.batch; ++b) {
    for (std::int64_t h = 0; h < view.heads; ++h) {
      for (std::int64_t i = 0; i < view.length; ++i) {
        for (std::int64_t d = 0; d < view.dim; ++d) {
          const std::int64_t index =
              b * view.batch_stride + h * view.head_stride + i * view.row_stride + d;
          sum = sum + load_float(view.dtype, view.data, static_cast<std::size_t>(index));
        }
      }
    }
  }
}

}  // namespace maskerade
