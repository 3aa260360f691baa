#include "experiments/report/heading.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/report/number_text.hpp"
#include "experiments/report/remarks.hpp"

namespace maskerade {
namespace {

// A family of kernels on a device: {"cuda", "sm80"}.
struct KernelFamily {
  std::string device;
  std::string name;

  bool operator==(const KernelFamily&) const = default;
};

// The families of the kernels that ran on devices: "cuda kernels sm80"; "" for none.
std::string families_text(std::span<const CellResult> results) {
  std::vector<KernelFamily> families;
  for (const CellResult& result : results) {
    const std::size_t space = result.kernel_mix.find(' ');
    if (has_kernel_mix(result) || space == std::string::npos) continue;
    const KernelFamily family{result.device, result.kernel_mix.substr(space + 1)};
    if (std::find(families.begin(), families.end(), family) == families.end()) {
      families.push_back(family);
    }
  }
  std::string text;
  for (const KernelFamily& family : families) {
    text += fmt::format("{}{} kernels {}", text.empty() ? "" : ", ", family.device, family.name);
  }
  return text;
}

// The tolerances of the results that were compared with the oracle: "1e-5" where all agree, else
// with their devices: "1e-5 (cpu), 0.01 (cuda)".
std::string tolerances_text(std::span<const CellResult> results) {
  struct Tolerance {
    std::string device;
    double value;
    bool is_loosened;
  };
  std::vector<Tolerance> tolerances;
  bool agree = true;
  for (const CellResult& result : results) {
    if (!result.oracle) continue;
    const auto equals = [&](const Tolerance& other) {
      return other.value == result.tolerance && other.is_loosened == result.tolerance_is_loosened;
    };
    const auto is_known = [&](const Tolerance& other) {
      return other.device == result.device && equals(other);
    };
    agree = agree && std::all_of(tolerances.begin(), tolerances.end(), equals);
    if (std::any_of(tolerances.begin(), tolerances.end(), is_known)) continue;
    tolerances.push_back({result.device, result.tolerance, result.tolerance_is_loosened});
  }
  if (agree) tolerances.resize(1);
  std::string text;
  for (const Tolerance& tolerance : tolerances) {
    std::string notes = agree ? "" : tolerance.device;
    if (tolerance.is_loosened) {
      notes += fmt::format("{}LOOSENED by the experiment", notes.empty() ? "" : ", ");
    }
    text += (text.empty() ? "" : ", ") + short_number_text(tolerance.value);
    if (!notes.empty()) text += " (" + notes + ")";
  }
  return text;
}

}  // namespace

std::vector<std::string> heading_of(std::span<const CellResult> results) {
  const CellResult& first = results.front();
  std::string workload = first.workload;
  std::string run = fmt::format("{} thread{}", first.threads, first.threads == 1 ? "" : "s");
  if (first.facts) {
    const AttentionShape& shape = first.facts->shape;
    workload += fmt::format(
        ": batch {}, heads {} (kv {}), queries {}, keys {}{}, head_dim {}, {}, {}", shape.batch,
        shape.query_heads, shape.kv_heads, shape.query_len, shape.key_len,
        first.decode_steps ? fmt::format(" and {} decode steps", *first.decode_steps) : "",
        shape.head_dim, name_of(first.facts->dtype), first.facts->causal ? "causal" : "not causal");
    run = first.facts->source + "; " + run;
  }
  const auto checked = std::find_if(results.begin(), results.end(), [](const CellResult& result) {
    return result.oracle.has_value() && result.facts.has_value();
  });
  if (checked == results.end()) {
    run += "; not compared with the oracle";
  } else {
    run += fmt::format("; oracle on {} of {} rows, tolerance {}", checked->oracle->rows,
                       checked->facts->shape.rows() * checked->decode_steps.value_or(1),
                       tolerances_text(results));
  }
  const std::string families = families_text(results);
  if (!families.empty()) run += "; " + families;
  const auto timed = std::find_if(results.begin(), results.end(), [](const CellResult& result) {
    return result.device_timing.has_value();
  });
  if (timed != results.end()) run += fmt::format(", {} cache", timed->device_timing->cache);
  std::vector<std::string> texts = {workload, run};
  if (first.file && first.facts && first.facts->shape.kv_heads > first.facts->shape.key_len) {
    texts.push_back(fmt::format(
        "the file is read as {} kv heads of {} tokens: look whether its layout is the other one",
        first.facts->shape.kv_heads, first.facts->shape.key_len));
  }
  if (first.decode_steps) {
    texts.push_back(fmt::format(
        "total = prepare ms/step (1/{} of preparing the first keys) + append (of the step's key to "
        "the indexes) + select + plan + attend",
        *first.decode_steps));
  }
  return texts;
}

}  // namespace maskerade
