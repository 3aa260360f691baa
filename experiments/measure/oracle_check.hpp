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

// What comparing some rows of a kernel with the oracle gave.
struct OracleComparison {
  std::int64_t rows = 0;  // that were compared
  // Of them, those whose allowance is too wide to pass them, see RowAllowance::decides.
  std::int64_t undecidable_rows = 0;
  double error = 0;      // the largest error of a row
  double condition = 0;  // the largest row_condition
  // The largest quotient of a row's error and its allowance: the kernel is wrong where it
  // exceeds 1.
  double quotient = 0;
  // Of the row with the largest quotient: its number, as in oracle_sample, and the error and the
  // allowance of which it is the quotient.
  std::int64_t worst_row = 0;
  double worst_error = 0;
  double worst_allowance = 0;
};

// Compares `output`, which a kernel computed for attention over `mask`, with the float64 oracle on
// the listed rows, as row_judgement.hpp says. base: of the rows' allowances.
OracleComparison compare_with_oracle(const AttentionInputs& inputs,
                                     const Mask& mask,
                                     const AttentionOutput& output,
                                     std::span<const std::int64_t> rows,
                                     double base,
                                     const Threads& threads);

// Describes a row in messages: "batch 0, head 3, query 17".
std::string describe_row(const AttentionShape& shape, std::int64_t row);

}  // namespace maskerade
