#pragma once

#include <cmath>
#include <cstdint>

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/oracle_steps.hpp"

// The attention weights of listed entries, a thread a row, in float64: slow and obvious.
namespace maskerade::cuda {

struct WeighRows {
  AttendArguments attend;  // q, k and their sizes
  double scale = 1;
  DType dtype = DType::kFloat32;
  std::int64_t query_heads = 1;
  std::int64_t query_len = 1;
  const std::int64_t* offsets = nullptr;  // [rows + 1] of each row's entries
  const std::int32_t* keys = nullptr;     // [entries]
  const float* biases = nullptr;          // [entries] -ln p
  double* logits = nullptr;               // [entries] scratch
  float* weights = nullptr;               // [entries] exp(logit - lse)

  MASKERADE_HOST_DEVICE void operator()(std::int64_t row) const {
    const std::int64_t head = row / query_len % query_heads;
    const std::int64_t batch = row / query_len / query_heads;
    const std::int64_t query = row * attend.head_dim;
    const std::int64_t first = attend.keys_at(batch, head * attend.kv_heads / query_heads);
    double top = -HUGE_VAL;
    for (std::int64_t i = offsets[row]; i < offsets[row + 1]; ++i) {
      double dot = 0;
      for (std::int64_t d = 0; d < attend.head_dim; ++d) {
        dot += widened(dtype, attend.q, query + d) *
               widened(dtype, attend.k, first + keys[i] * attend.head_dim + d);
      }
      logits[i] = scale * dot + static_cast<double>(biases[i]);
      top = logits[i] > top ? logits[i] : top;
    }
    double sum = 0;
    for (std::int64_t i = offsets[row]; i < offsets[row + 1]; ++i) {
      logits[i] = exp(logits[i] - top);
      sum += logits[i];
    }
    for (std::int64_t i = offsets[row]; i < offsets[row + 1]; ++i) {
      weights[i] = static_cast<float>(logits[i] / sum);
    }
  }
};

}  // namespace maskerade::cuda
