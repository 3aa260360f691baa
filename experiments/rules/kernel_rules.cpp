#include "experiments/rules/kernel_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "framework/mask/set_operations.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade::rules {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

EntryLocation row_location(const AttentionShape& shape, std::int64_t row) {
  return {row / shape.query_len / shape.query_heads, row / shape.query_len % shape.query_heads,
          row % shape.query_len};
}

// Whether `output` has the sizes of the shape; else says so.
bool has_sizes(const AttentionOutput& output, const AttentionShape& shape, ViolationList& found) {
  const auto rows = static_cast<std::size_t>(shape.rows());
  const std::size_t numbers = rows * static_cast<std::size_t>(shape.head_dim);
  if (output.out.size() == numbers && output.lse.size() == rows) return true;
  found.add(fmt::format("out has {} numbers and lse {}; the shape {} asks for {} and {}",
                        output.out.size(), output.lse.size(), shape.to_string(), numbers, rows));
  return false;
}

// Says so when out or lse of a row errs more than it may against `expected`.
void check_row(const EntryLocation& at,
               const OracleRow& expected,
               double base,
               const float* out,
               float lse,
               ViolationList& found) {
  const RowAllowance allowance = row_allowance(expected, base);
  if (const double error = out_error(expected, out); !(error <= allowance.out)) {
    found.add(at,
              fmt::format("the error of out is {:.3g}; {:.3g} is allowed", error, allowance.out));
  }
  if (const double error = lse_error(expected, lse); !(error <= allowance.lse)) {
    found.add(at, fmt::format("lse is {} and should be {}: an error of {:.3g}; {:.3g} is allowed",
                              lse, expected.lse, error, allowance.lse));
  }
}

// A row without active keys.
void check_empty_row(const EntryLocation& at,
                     std::span<const float> out,
                     float lse,
                     ViolationList& found) {
  for (std::size_t d = 0; d < out.size(); ++d) {
    if (out[d] != 0) {
      found.add(
          at, fmt::format("the row has no active key, and out[{}] is {}; it must be 0", d, out[d]));
      break;
    }
  }
  if (lse != -std::numeric_limits<float>::infinity()) {
    found.add(
        at, fmt::format("the row has no active key, and its lse is {}; it must be -infinity", lse));
  }
}

// Keys [begin, end) of what every row sees.
Mask key_range(const Visibility& visibility, std::int64_t begin, std::int64_t end) {
  TileRowBuilder builder(visibility);
  std::vector<TileRow> rows;
  for (std::int64_t first = 0; first < visibility.query_len(); first += kTileRows) {
    builder.start(first / kTileRows);
    builder.add_range(0, builder.rows(), begin, end);
    rows.push_back(builder.finish());
  }
  return Mask::from_tile_rows(visibility, {}, rows);
}

// A row of the merged parts, in float64. whole: the oracle's row, whose condition it has.
OracleRow merge_row(const std::vector<AttentionOutput>& parts,
                    std::size_t row,
                    const OracleRow& whole) {
  const std::size_t dim = whole.out.size();
  OracleRow merged = whole;
  merged.out.assign(dim, 0.0);
  merged.lse = -kInfinity;
  for (const AttentionOutput& part : parts)
    merged.lse = std::max(merged.lse, double{part.lse[row]});
  if (merged.lse == -kInfinity) return merged;
  double sum = 0;
  for (const AttentionOutput& part : parts) {
    if (part.lse[row] == -std::numeric_limits<float>::infinity()) continue;
    const double weight = std::exp(double{part.lse[row]} - merged.lse);
    sum += weight;
    for (std::size_t d = 0; d < dim; ++d) merged.out[d] += weight * double{part.out[row * dim + d]};
  }
  for (double& number : merged.out) number /= sum;
  merged.lse += std::log(sum);
  return merged;
}

}  // namespace

Violations check_output(const AttentionInputs& inputs,
                        const Mask& mask,
                        const AttentionOutput& output,
                        double base,
                        LargestErrors* errors) {
  ViolationList found("a kernel agrees with the float64 oracle");
  const AttentionShape& shape = inputs.shape;
  if (!has_sizes(output, shape, found)) return found.violations();
  LargestErrors largest;
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    const EntryLocation at = row_location(shape, row);
    const OracleRow oracle = oracle_row(inputs, mask, at.batch, at.head, at.query);
    const float* out = output.out.data() + row * shape.head_dim;
    const float lse = output.lse[static_cast<std::size_t>(row)];
    if (oracle.lse == -kInfinity) {
      check_empty_row(at, {out, static_cast<std::size_t>(shape.head_dim)}, lse, found);
      continue;
    }
    check_row(at, oracle, base, out, lse, found);
    largest = {.out = std::max(largest.out, out_error(oracle, out)),
               .lse = std::max(largest.lse, lse_error(oracle, lse))};
  }
  if (errors != nullptr) *errors = largest;
  return found.violations();
}

Violations check_against_oracle(const AttentionInputs& inputs,
                                const Mask& mask,
                                const AttendFunction& attend,
                                double base) {
  return check_output(inputs, mask, attend(inputs, mask), base);
}

Violations check_same_output(const AttentionOutput& found,
                             const AttentionOutput& expected,
                             const AttentionShape& shape) {
  ViolationList violations("the output is the same bit by bit");
  if (!has_sizes(found, shape, violations)) return violations.violations();
  const auto same = [](float a, float b) {
    return (a == b && std::signbit(a) == std::signbit(b)) || (std::isnan(a) && std::isnan(b));
  };
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    const EntryLocation at = row_location(shape, row);
    for (std::int64_t d = 0; d < shape.head_dim; ++d) {
      const auto i = static_cast<std::size_t>(row * shape.head_dim + d);
      if (same(found.out[i], expected.out[i])) continue;
      violations.add(
          at, fmt::format("out[{}] is {} and should be {}", d, found.out[i], expected.out[i]));
    }
    const auto i = static_cast<std::size_t>(row);
    if (same(found.lse[i], expected.lse[i])) continue;
    violations.add(at, fmt::format("lse is {} and should be {}", found.lse[i], expected.lse[i]));
  }
  return violations.violations();
}

Violations check_output_is_repeatable(const AttentionInputs& inputs,
                                      const Mask& mask,
                                      const ThreadedAttendFunction& attend) {
  const AttentionOutput reference = attend(inputs, mask, 1);
  Violations all;
  for (const int threads : {1, 2, 3}) {
    append(all, check_same_output(attend(inputs, mask, threads), reference, inputs.shape));
  }
  return all;
}

Violations check_merge_of_parts(const AttentionInputs& inputs,
                                const Mask& mask,
                                const AttendFunction& attend,
                                std::span<const std::int64_t> borders,
                                double base) {
  ViolationList found("merged parts are the whole");
  const AttentionShape& shape = inputs.shape;
  std::vector<std::int64_t> ends(borders.begin(), borders.end());
  ends.push_back(shape.key_len);
  std::vector<AttentionOutput> parts;
  std::int64_t begin = 0;
  for (const std::int64_t end : ends) {
    const Mask part = intersection_of(mask, key_range(mask.visibility(), begin, end));
    parts.push_back(attend(inputs, part));
    if (!has_sizes(parts.back(), shape, found)) return found.violations();
    begin = end;
  }
  const AttentionOutput whole = attend(inputs, mask);
  if (!has_sizes(whole, shape, found)) return found.violations();
  for (std::int64_t row = 0; row < shape.rows(); ++row) {
    const EntryLocation at = row_location(shape, row);
    const OracleRow merged = merge_row(parts, static_cast<std::size_t>(row),
                                       oracle_row(inputs, mask, at.batch, at.head, at.query));
    check_row(at, merged, base, whole.out.data() + row * shape.head_dim,
              whole.lse[static_cast<std::size_t>(row)], found);
  }
  return found.violations();
}

}  // namespace maskerade::rules
