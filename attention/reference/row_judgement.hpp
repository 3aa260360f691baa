#pragma once

#include "attention/reference/oracle.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade {

// How a kernel's row is judged by the oracle: the row's error is divided by what the row's own
// problem allows a correct kernel to err. So a correct kernel passes on any data, and a wrong one
// fails.

// The base of every allowance: what a kernel's arithmetic may err where the data amplifies nothing.
// arithmetic: the type that the kernel multiplies in, which for CPU kernels is float32 whatever the
// dtype of the inputs.
constexpr double base_allowance(DType arithmetic) {
  return arithmetic == DType::kFloat16 ? 2e-3 : arithmetic == DType::kBFloat16 ? 1e-2 : 1e-5;
}

// The error of a kernel's out[head_dim]: max abs(out - oracle) / max abs(oracle); where the oracle
// is all zeros, max abs(out). Infinite where a value is NaN.
double out_error(const OracleRow& oracle, const float* out);
// The error of a kernel's lse: abs(lse - oracle) / max(1, abs(oracle)). Infinite where it is NaN,
// or where only one of kernel and oracle has active keys.
double lse_error(const OracleRow& oracle, float lse);

// What a correct kernel may err in a row:
//   out: base + 16 u (1 + L) C
//   lse: base + 16 u L
// with u = 2^-24, the roundoff of a float32 accumulator whatever the storage, L the row's
// logit_condition and C its cancellation.
struct RowAllowance {
  double out = 0;
  double lse = 0;

  // Whether a row within the allowance may pass: a wider allowance than 0.05 tells a right result
  // from no other.
  bool decides() const noexcept;
};
RowAllowance row_allowance(const OracleRow& oracle, double base);
inline constexpr double kWidestAllowance = 0.05;

// (1 + L) C: how many times larger than a rounding of the accumulator the error of out may be.
double row_condition(const OracleRow& oracle);

// The error and its allowance, of out or lse: those of the one whose quotient is the larger.
struct RowJudgement {
  double error = 0;
  double allowance = 0;
  bool is_decidable = true;  // see RowAllowance::decides

  // error / allowance; a kernel is wrong where this exceeds 1. Infinite for an infinite error.
  double quotient() const noexcept;
};
RowJudgement judge_row(const OracleRow& oracle, double base, const float* out, float lse);

}  // namespace maskerade
