#include "experiments/measure/oracle_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "attention/reference/row_judgement.hpp"
#include "framework/base/philox.hpp"

namespace maskerade {
namespace {

// The purpose and seed of the rows' random numbers; any values that nothing else uses would do.
constexpr std::uint32_t kOraclePurpose = 0x6f72616b;
constexpr std::uint64_t kOracleSeed = 1;

}  // namespace

std::vector<std::int64_t> oracle_sample(const AttentionShape& shape, std::int64_t count) {
  const std::int64_t total = shape.rows();
  std::vector<std::int64_t> rows;
  if (count < 0 || count >= total) {
    rows.resize(static_cast<std::size_t>(total));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }
  std::vector<std::pair<std::uint32_t, std::int64_t>> drawn;
  drawn.reserve(static_cast<std::size_t>(total));
  for (std::int64_t head = 0; head < shape.batch * shape.query_heads; ++head) {
    const RandomField field({.seed = kOracleSeed,
                             .batch = static_cast<std::uint32_t>(head / shape.query_heads),
                             .head = static_cast<std::uint32_t>(head % shape.query_heads),
                             .purpose = kOraclePurpose});
    for (std::int64_t query = 0; query < shape.query_len; ++query) {
      drawn.emplace_back(field.bits(static_cast<std::uint64_t>(query), 0),
                         head * shape.query_len + query);
    }
  }
  std::nth_element(drawn.begin(), drawn.begin() + count, drawn.end());
  for (std::int64_t i = 0; i < count; ++i)
    rows.push_back(drawn[static_cast<std::size_t>(i)].second);
  std::sort(rows.begin(), rows.end());
  return rows;
}

OracleComparison compare_with_oracle(const AttentionInputs& inputs,
                                     const Mask& mask,
                                     const AttentionOutput& output,
                                     std::span<const std::int64_t> rows,
                                     double base,
                                     const Threads& threads) {
  const AttentionShape& shape = inputs.shape;
  std::vector<RowJudgement> judgements(rows.size());
  std::vector<double> conditions(rows.size());
  threads.for_each(static_cast<std::int64_t>(rows.size()), [&](std::int64_t item, int) {
    const std::int64_t row = rows[static_cast<std::size_t>(item)];
    const std::int64_t head = row / shape.query_len;
    const OracleRow oracle = oracle_row(inputs, mask, head / shape.query_heads,
                                        head % shape.query_heads, row % shape.query_len);
    judgements[static_cast<std::size_t>(item)] =
        judge_row(oracle, base, output.out.data() + row * shape.head_dim,
                  output.lse[static_cast<std::size_t>(row)]);
    conditions[static_cast<std::size_t>(item)] = row_condition(oracle);
  });
  OracleComparison all{.rows = static_cast<std::int64_t>(rows.size())};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const RowJudgement& row = judgements[i];
    if (!row.is_decidable) ++all.undecidable_rows;
    all.error = std::max(all.error, row.error);
    all.condition = std::max(all.condition, conditions[i]);
    if (i > 0 && row.quotient() <= all.quotient) continue;
    all.quotient = row.quotient();
    all.worst_row = rows[i];
    all.worst_error = row.error;
    all.worst_allowance = row.allowance;
  }
  return all;
}

std::string describe_row(const AttentionShape& shape, std::int64_t row) {
  const std::int64_t head = row / shape.query_len;
  return fmt::format("batch {}, head {}, query {}", head / shape.query_heads,
                     head % shape.query_heads, row % shape.query_len);
}

}  // namespace maskerade
