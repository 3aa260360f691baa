#include "attention/reference/row_judgement.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace maskerade {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 16 * 0x1p-24;  // 16 roundoffs of a float32 accumulator

}  // namespace

double out_error(const OracleRow& oracle, const float* out) {
  double worst = 0;
  double largest = 0;
  for (std::size_t d = 0; d < oracle.out.size(); ++d) {
    const double difference = std::abs(oracle.out[d] - static_cast<double>(out[d]));
    if (std::isnan(difference)) return kInfinity;
    worst = std::max(worst, difference);
    largest = std::max(largest, std::abs(oracle.out[d]));
  }
  return largest > 0 ? worst / largest : worst;
}

double lse_error(const OracleRow& oracle, float lse) {
  if (oracle.lse == lse) return 0;  // -infinity too, in rows without active keys
  const double error = std::abs(lse - oracle.lse) / std::max(1.0, std::abs(oracle.lse));
  return std::isnan(error) ? kInfinity : error;
}

bool RowAllowance::decides() const noexcept { return std::max(out, lse) <= kWidestAllowance; }

RowAllowance row_allowance(const OracleRow& oracle, double base) {
  return {.out = base + kRounding * row_condition(oracle),
          .lse = base + kRounding * oracle.logit_condition};
}

double row_condition(const OracleRow& oracle) {
  return (1 + oracle.logit_condition) * oracle.cancellation;
}

double RowJudgement::quotient() const noexcept {
  return error == kInfinity ? kInfinity : error / allowance;
}

RowJudgement judge_row(const OracleRow& oracle, double base, const float* out, float lse) {
  const RowAllowance allowance = row_allowance(oracle, base);
  const RowJudgement of_out{out_error(oracle, out), allowance.out, allowance.decides()};
  const RowJudgement of_lse{lse_error(oracle, lse), allowance.lse, allowance.decides()};
  return of_lse.quotient() > of_out.quotient() ? of_lse : of_out;
}

}  // namespace maskerade
