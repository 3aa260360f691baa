#include <fmt/format.h>

#include <cmath>

#include "attention/reference/oracle.hpp"
#include "tests/golden_test/masker_run.hpp"

namespace maskerade::golden {
namespace {

// Means of this many draws, at fixed seeds.
constexpr std::uint64_t kSeeds = 400;
// Of the standard error; a mean of a right sampler is further away with probability 2e-9.
constexpr double kMostDeviations = 6;

// A sampler without replacement: `draws` keys a row, each with probability draws / key_len, and a
// denominator whose mean is the exact one. Where it has no variance, as that of all keys, every
// draw gives it, within the case's tolerance for float32.
void check_sampler(const CaseRun& run, Findings& findings) {
  const Case& golden = run.golden;
  const CaseInputs problem(run);
  const AttentionShape& shape = problem.inputs.shape;
  const std::vector<float> row_max = run.tensors.floats("row_max");
  const std::vector<float> den = run.tensors.floats("den");
  const std::vector<float> variance = run.tensors.floats("den_var_without_replacement");
  const auto rows = static_cast<std::size_t>(shape.rows());
  if (row_max.size() != rows || den.size() != rows || variance.size() != rows) {
    findings.fail("row_max, den and its variance do not have one value per row");
    return;
  }
  const auto draws = golden.json.at("draws").get<std::int64_t>();
  const double probability = static_cast<double>(draws) / static_cast<double>(shape.key_len);
  const Threads threads(1);
  const Pipeline pipeline(masker_uses(run));
  std::vector<double> sums(rows);
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Mask mask =
        pipeline.prepare(problem.inputs, {.seed = seed}, threads).select(threads).mask;
    if (seed == 0) {
      const std::vector<float> weights = dense(golden, mask);
      std::vector<std::int64_t> counts(rows);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] == 0.0F) continue;
        ++counts[i / static_cast<std::size_t>(shape.key_len)];
        if (std::abs(weights[i] - probability) > 1e-6) {
          findings.fail(
              fmt::format("a drawn key has probability {}, expected {}", weights[i], probability));
          return;
        }
      }
      findings.compare("keys drawn in a row", counts, std::vector<std::int64_t>(rows, draws), {},
                       {shape.batch, shape.query_heads, shape.query_len});
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const auto row = static_cast<std::int64_t>(r);
      const OracleRow oracle =
          oracle_row(problem.inputs, mask, row / shape.query_len / shape.query_heads,
                     row / shape.query_len % shape.query_heads, row % shape.query_len);
      sums[r] += std::exp(oracle.lse - row_max[r]);
    }
  }
  for (std::size_t r = 0; r < rows; ++r) {
    const double mean = sums[r] / static_cast<double>(kSeeds);
    if (variance[r] == 0.0F || draws >= shape.key_len) {
      findings.compare(fmt::format("denominator of row {}", r), std::vector<double>{mean},
                       std::vector<float>{den[r]},
                       {golden.tolerance("rtol"), golden.tolerance("atol")}, {1});
      continue;
    }
    const double deviation = (mean - den[r]) / std::sqrt(variance[r] / static_cast<double>(kSeeds));
    if (std::abs(deviation) > kMostDeviations) {
      findings.fail(fmt::format(
          "the mean denominator of row {} is {}, expected {}: {:.1f} standard errors away", r, mean,
          den[r], deviation));
      return;
    }
  }
}

}  // namespace

void check_statistics(const CaseRun& run, Findings& findings) {
  if (const std::string missing = missing_maskers(run); !missing.empty()) {
    findings.not_covered(missing);
  } else if (run.tensors.has("budget_real_two_sided") && run.tensors.has("residual")) {
    check_adaptive_sampling(run, findings);
  } else if (run.golden.maskers.back().name == "magic_pig") {
    check_magic_pig(run, findings);
  } else if (run.tensors.has("den_var_without_replacement") && run.golden.json.contains("draws") &&
             !run.golden.causal) {
    check_sampler(run, findings);
  } else {
    findings.not_covered("there is no check of these statistics");
  }
}

}  // namespace maskerade::golden
