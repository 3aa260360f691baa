#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"

namespace maskerade {

// Returns the rows on which kernels are compared with the oracle, ascending. Row numbers are
// (batch * query_heads + query_head) * query_len + query. count: how many rows; -1: all. The sample
// is always the same for a shape, and a larger sample contains every smaller one: each row has a
// fixed random number, and the rows with the smallest numbers are taken.
std::vector<std::int64_t> oracle_sample(const AttentionShape& shape, std::int64_t count);

// The largest error of some rows, and the row that has it. A row's error is the larger of the error
// of its output (row_error()) and of its lse, |lse - oracle| / max(1, |oracle|). It is infinite
// where only one of kernel and oracle has active keys in the row, or a value is NaN.
struct OracleError {
  double worst = 0;
  std::int64_t row = 0;  // numbered as in oracle_sample
};

// Compares `output`, which a kernel computed for attention over `mask`, with the float64 oracle on
// the listed rows. The error of no rows is 0.
OracleError compare_with_oracle(const AttentionInputs& inputs,
                                const Mask& mask,
                                const AttentionOutput& output,
                                std::span<const std::int64_t> rows,
                                const Threads& threads);

// Describes a row in messages: "batch 0, head 3, query 17".
std::string describe_row(const AttentionShape& shape, std::int64_t row);

// The largest oracle error that a kernel may have, unless an experiment sets another. It depends on
// the dtype of the kernel's arithmetic, which for CPU kernels is float32 whatever the dtype of the
// inputs.
inline constexpr double kFloat32Tolerance = 1e-5;
constexpr double tolerance_of(DType arithmetic) {
  return arithmetic == DType::kFloat16    ? 2e-3
         : arithmetic == DType::kBFloat16 ? 1e-2
                                          : kFloat32Tolerance;
}

}  // namespace maskerade
