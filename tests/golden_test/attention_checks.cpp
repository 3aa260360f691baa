#include <fmt/format.h>

#include <algorithm>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/cpu_plan.hpp"
#include "attention/reference/oracle.hpp"
#include "framework/mask/conversions.hpp"
#include "tests/golden_test/masker_run.hpp"

namespace maskerade::golden {
namespace {

// expected_exact is rounded to float32 once; a float64 result differs by half a unit in the last
// place.
constexpr Tolerance kOracleTolerance{6.0e-8, 1e-12};

struct Expected {
  std::string what;
  std::vector<float> out;
  std::vector<float> lse;
};

void check_oracle(const Case& golden,
                  const AttentionInputs& inputs,
                  const Mask& mask,
                  const Expected& expected,
                  Findings& findings) {
  const AttentionShape& shape = inputs.shape;
  // Our scale is a float32; another one is another problem.
  const Tolerance tolerance = static_cast<double>(inputs.scale) == golden.scale
                                  ? kOracleTolerance
                                  : Tolerance{golden.tolerance("rtol"), golden.tolerance("atol")};
  std::vector<double> out;
  std::vector<double> lse;
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      for (std::int64_t query = 0; query < shape.query_len; ++query) {
        const OracleRow row = oracle_row(inputs, mask, b, head, query);
        out.insert(out.end(), row.out.begin(), row.out.end());
        lse.push_back(row.lse);
      }
    }
  }
  findings.compare("oracle, " + expected.what, out, expected.out, tolerance,
                   {shape.batch, shape.query_heads, shape.query_len, shape.head_dim});
  if (expected.lse.empty()) return;
  findings.compare("oracle lse, " + expected.what, lse, expected.lse, tolerance,
                   {shape.batch, shape.query_heads, shape.query_len});
}

void check_kernels(const Case& golden,
                   const AttentionInputs& inputs,
                   const Mask& mask,
                   const Expected& expected,
                   Findings& findings) {
  const AttentionShape& shape = inputs.shape;
  const Threads threads(2);
  for (const Walk kernel : {Walk::kDense, Walk::kTiles, Walk::kRows}) {
    const CpuPlan plan = make_cpu_plan(mask, shape, kernel, threads);
    AttentionOutput output;
    attend(inputs, plan, threads, output);
    const std::string what = fmt::format("{}, {}", name_of(kernel), expected.what);
    findings.compare(what, std::span<const float>(output.out), std::span<const float>(expected.out),
                     {golden.tolerance("rtol"), golden.tolerance("atol")},
                     {shape.batch, shape.query_heads, shape.query_len, shape.head_dim});
    if (expected.lse.empty()) continue;
    findings.compare(what + " lse", output.lse, expected.lse, {0, golden.tolerance("lse_atol")},
                     {shape.batch, shape.query_heads, shape.query_len});
  }
}

// Our maskers select what is stored, where they are built and draw nothing.
void check_selection(const CaseRun& run, const AttentionInputs& inputs, Findings& findings) {
  if (run.golden.maskers.empty() || !run.tensors.has("mask") ||
      !run.golden.json.value("maskers_agree", false) || !missing_maskers(run).empty()) {
    return;
  }
  const std::vector<MaskerUse> uses = masker_uses(run);
  if (std::any_of(uses.begin(), uses.end(), [](const MaskerUse& use) {
        return samples(use.type->descriptor(), *use.arguments);
      })) {
    return;
  }
  const Mask stored = from_dense(inputs.visibility, {run.golden.batch, run.golden.query_heads},
                                 run.tensors.floats("mask"));
  findings.compare("selected mask", dense(run.golden, select(run, inputs, findings)),
                   dense(run.golden, stored), {}, run.tensors.shape("mask"));
}

std::vector<float> optional_floats(const CaseRun& run, const std::string& name) {
  return run.tensors.has(name) ? run.tensors.floats(name) : std::vector<float>();
}

}  // namespace

void check_attention(const CaseRun& run, Findings& findings) {
  const Case& golden = run.golden;
  const CaseInputs problem(run);
  const AttentionInputs& inputs = problem.inputs;
  check_allowed(run, inputs.visibility, findings);
  check_selection(run, inputs, findings);

  // A case without a stored selection attends to everything.
  const char* name = run.tensors.has("weights") ? "weights" : "mask";
  const Mask full = Mask::full(inputs.visibility);
  const Mask mask = run.tensors.has(name)
                        ? from_dense(inputs.visibility, {golden.batch, golden.query_heads},
                                     run.tensors.floats(name))
                        : full;
  const Expected selected{"selection", run.tensors.floats("expected_exact"),
                          optional_floats(run, "lse")};
  check_kernels(golden, inputs, mask, selected, findings);
  check_oracle(golden, inputs, mask, selected, findings);
  if (!run.tensors.has("dense_exact")) return;
  const Expected dense_expected{"every key", run.tensors.floats("dense_exact"),
                                optional_floats(run, "lse_dense")};
  check_kernels(golden, inputs, full, dense_expected, findings);
  check_oracle(golden, inputs, full, dense_expected, findings);
}

}  // namespace maskerade::golden
