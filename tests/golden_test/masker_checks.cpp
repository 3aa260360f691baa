#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "tests/golden_test/masker_run.hpp"

namespace maskerade::golden {
namespace {

// A dense 0/1 tensor of the case with the hidden keys dropped.
std::vector<float> visible_part(const CaseRun& run,
                                const Visibility& visibility,
                                const std::string& name) {
  std::vector<float> values = run.tensors.floats(name);
  const auto key_len = static_cast<std::size_t>(visibility.key_len());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto query = static_cast<std::int64_t>(i / key_len) % visibility.query_len();
    if (static_cast<std::int64_t>(i % key_len) >= visibility.end(query)) values[i] = 0.0F;
  }
  return values;
}

// Ties: every key of `must`, else only keys of `may`, `count` in each row.
void check_tied(const CaseRun& run,
                const Visibility& visibility,
                const std::vector<float>& weights,
                const std::vector<std::int64_t>& sizes,
                Findings& findings) {
  const std::vector<float> must = visible_part(run, visibility, "must");
  const std::vector<float> may = visible_part(run, visibility, "may");
  if (must.size() != weights.size() || may.size() != weights.size()) {
    findings.fail("must and may do not have the mask's size");
    return;
  }
  std::vector<std::int64_t> counts(weights.size() / static_cast<std::size_t>(sizes.back()));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const bool active = weights[i] > 0.0F;
    if (active) ++counts[i / static_cast<std::size_t>(sizes.back())];
    if ((must[i] != 0.0F && !active) || (active && must[i] == 0.0F && may[i] == 0.0F)) {
      findings.fail(fmt::format("mask at {}: {}, which no acceptable answer has",
                                index_text(static_cast<std::int64_t>(i), sizes),
                                active ? "active" : "inactive"));
      return;
    }
  }
  findings.compare("active keys of a row", counts, run.tensors.integers("count"), {},
                   {sizes[0], sizes[1], sizes[2]});
}

}  // namespace

void check_maskers(const CaseRun& run, Findings& findings) {
  const Case& golden = run.golden;
  if (const std::string missing = missing_maskers(run); !missing.empty()) {
    findings.not_covered(missing);
    return;
  }
  const CaseInputs problem(run);
  const Visibility& visibility = problem.inputs.visibility;
  check_allowed(run, visibility, findings);
  std::optional<Mask> selected;
  try {
    selected = select(run, problem.inputs, findings);
  } catch (const Error&) {
    if (golden.has_edge("zero_size")) return;  // which an implementation may reject
    throw;
  }
  const Mask& mask = *selected;

  const std::vector<std::int64_t> sizes = {golden.batch, golden.query_heads, golden.query_len,
                                           golden.key_len};
  const std::vector<float> weights = dense(golden, mask);
  std::vector<float> support(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) support[i] = weights[i] > 0.0F ? 1.0F : 0.0F;
  const std::vector<float> expected = visible_part(run, visibility, "expected_exact");
  const bool tied = run.tensors.has("must");
  if (tied) {
    check_tied(run, visibility, weights, sizes, findings);
  } else {
    findings.compare("mask", support, expected, {}, sizes);
  }

  // Without exact_weights every active key has weight 1. Among tied keys only those that both have
  // can be compared.
  std::vector<float> expected_weights =
      run.tensors.has("exact_weights") ? visible_part(run, visibility, "exact_weights") : expected;
  if (tied && expected_weights.size() == weights.size()) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if ((expected_weights[i] > 0.0F) != (weights[i] > 0.0F)) {
        expected_weights[i] = support[i];
      }
    }
  }
  findings.compare("weights", weights, expected_weights, {0, golden.tolerance("weights_atol")},
                   sizes);
  const auto stored_density = golden.json.find("density");
  if (stored_density != golden.json.end() && stored_density->is_number() &&
      std::abs(density(mask) - stored_density->get<double>()) > 1e-9) {
    findings.fail(
        fmt::format("density: {}, expected {}", density(mask), stored_density->get<double>()));
  }
}

}  // namespace maskerade::golden
