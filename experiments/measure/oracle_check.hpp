#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"

namespace maskerade {

// The rows, numbered (batch * query_heads + query_head) * query_len + query and ascending, on which
// kernels are compared with the oracle. count -1 or at least the number of rows: all; else the
// count rows with the smallest random number, one fixed number per (batch, query head, query), so
// that a larger sample holds every smaller one.
std::vector<std::int64_t> oracle_sample(const AttentionShape& shape, std::int64_t count);

// The largest error over some rows, and where it is. A row's error is the larger of row_error and
// the error of its lse, |lse - oracle| / max(1, |oracle|); infinite where only one of them has
// keys.
struct OracleError {
  double worst = 0;
  std::int64_t row = 0;  // numbered as in oracle_sample
};

// Compares `output`, attention over `mask`, with the float64 oracle on the listed rows.
OracleError compare_with_oracle(const AttentionInputs& inputs,
                                const Mask& mask,
                                const AttentionOutput& output,
                                std::span<const std::int64_t> rows,
                                const Threads& threads);

// "batch 0, head 3, query 17"
std::string describe_row(const AttentionShape& shape, std::int64_t row);

// The oracle error that a kernel may have, unless an experiment says otherwise, by the rounding of
// its arithmetic. The CPU kernels calculate in float32 whatever the storage.
inline constexpr double kFloat32Tolerance = 1e-5;
constexpr double tolerance_of(DType arithmetic) {
  return arithmetic == DType::kFloat16    ? 2e-3
         : arithmetic == DType::kBFloat16 ? 1e-2
                                          : kFloat32Tolerance;
}

}  // namespace maskerade
