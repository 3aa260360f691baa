#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "attention/cuda/detail/attend_arguments.hpp"
#include "framework/mask/cuda/mask_view.hpp"
#include "framework/tensor/dtype.hpp"

// The float64 oracle (see attention/reference/oracle.hpp) for the device, slow and obvious. It is
// written against steps, HostSteps or DeviceSteps, so that tests run the same code on the CPU.
namespace maskerade::cuda {

// Element `index` of an array stored as dtype, widened exactly.
MASKERADE_HOST_DEVICE double widened(DType dtype, const void* data, std::int64_t index) {
  if (dtype == DType::kFloat32) return static_cast<const float*>(data)[index];
  const std::uint32_t bits = static_cast<const std::uint16_t*>(data)[index];
  if (dtype == DType::kBFloat16) {
    const std::uint32_t word = bits << 16;
    float value;
    memcpy(&value, &word, sizeof(value));
    return value;
  }
  const double sign = (bits & 0x8000U) != 0 ? -1 : 1;
  const int exponent = static_cast<int>((bits >> 10) & 31U);
  const double fraction = static_cast<double>(bits & 1023U) / 1024;
  if (exponent == 0) return sign * ldexp(fraction, -14);
  if (exponent == 31) return fraction == 0 ? sign * HUGE_VAL : nan("");
  return sign * ldexp(1 + fraction, exponent - 15);
}

// The oracle's arguments. Memory belongs to the caller and is where the steps run.
struct OracleArguments {
  AttendArguments attend;  // of which q, k, v and their sizes are used
  double scale = 1;
  DType dtype = DType::kFloat32;
  MaskView mask;
  std::int64_t query_heads = 1;
  double* out = nullptr;  // [batch, query_heads, query_len, head_dim]
  double* lse = nullptr;  // [batch, query_heads, query_len] natural log
};

namespace detail {

// A row of the problem: where its data lies, and its logits.
struct OracleRowView {
  const OracleArguments& arguments;
  std::int64_t row;  // in [batch, query_heads, query_len]
  std::int64_t query;
  std::int64_t slice;  // of the mask: mask batch * mask heads + mask head
  std::int64_t first;  // offset of the kv head's first key in k and v, in elements

  MASKERADE_HOST_DEVICE OracleRowView(const OracleArguments& of, std::int64_t of_row)
      : arguments(of), row(of_row) {
    const MaskView& mask = of.mask;
    query = row % mask.query_len;
    const std::int64_t head = row / mask.query_len % of.query_heads;
    const std::int64_t batch = row / mask.query_len / of.query_heads;
    slice = (mask.batch == 1 ? 0 : batch) * mask.heads + head * mask.heads / of.query_heads;
    first = of.attend.keys_at(batch, head * of.attend.kv_heads / of.query_heads);
  }

  // Calls visit(key, logit) for every active key, in ascending order.
  template <typename Visit>
  MASKERADE_HOST_DEVICE void for_each_key(const Visit& visit) const {
    const MaskView& mask = arguments.mask;
    const std::int64_t dim = arguments.attend.head_dim;
    for (std::int64_t tile = 0; tile < mask.tiles(); ++tile) {
      for (std::uint64_t left = mask.support_word(slice, query, tile); left != 0;
           left &= left - 1) {
        const std::int64_t key = tile * kTileKeys + lowest_bit(left);
        double dot = 0;
        for (std::int64_t d = 0; d < dim; ++d) {
          dot += widened(arguments.dtype, arguments.attend.q, row * dim + d) *
                 widened(arguments.dtype, arguments.attend.k, first + key * dim + d);
        }
        const bool is_bit = ((mask.word(slice, query, tile) >> (key % kTileKeys)) & 1U) != 0;
        const double probability =
            is_bit ? 1.0 : static_cast<double>(mask.sampled_probability(slice, query, key));
        visit(key, arguments.scale * dot - log(probability));
      }
    }
  }
};

// Call i computes lse of row i.
struct OracleLse {
  OracleArguments arguments;
  MASKERADE_HOST_DEVICE void operator()(std::int64_t row) const {
    const OracleRowView view(arguments, row);
    double top = -HUGE_VAL;
    view.for_each_key([&](std::int64_t, double logit) { top = larger(top, logit); });
    double sum = 0;
    view.for_each_key([&](std::int64_t, double logit) { sum += exp(logit - top); });
    arguments.lse[row] = sum > 0 ? top + log(sum) : -HUGE_VAL;
  }
};

// Call i computes kComponents components of out of row i / parts, after OracleLse.
struct OracleOut {
  static constexpr int kComponents = 32;
  OracleArguments arguments;
  std::int64_t parts;  // calls for each row

  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const OracleRowView view(arguments, i / parts);
    const std::int64_t dim = arguments.attend.head_dim;
    const std::int64_t begin = i % parts * kComponents;
    const auto count = static_cast<int>(smaller<std::int64_t>(kComponents, dim - begin));
    double out[kComponents] = {};
    const double lse = arguments.lse[view.row];
    view.for_each_key([&](std::int64_t key, double logit) {
      const double weight = exp(logit - lse);
      for (int c = 0; c < count; ++c) {
        out[c] += weight *
                  widened(arguments.dtype, arguments.attend.v, view.first + key * dim + begin + c);
      }
    });
    for (int c = 0; c < count; ++c) arguments.out[view.row * dim + begin + c] = out[c];
  }
};

}  // namespace detail

// Fills out and lse of `rows` rows: zeros and -inf for a row without active keys.
template <typename Steps>
void attend_oracle_steps(const Steps& steps, const OracleArguments& arguments, std::int64_t rows) {
  const std::int64_t parts = ceil_div(arguments.attend.head_dim, detail::OracleOut::kComponents);
  steps.for_each(rows, detail::OracleLse{arguments});
  steps.for_each(rows * parts, detail::OracleOut{arguments, parts});
}

}  // namespace maskerade::cuda
