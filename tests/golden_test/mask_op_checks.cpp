#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/published/published_operations.hpp"
#include "framework/mask/set_operations.hpp"
#include "tests/golden_test/checks.hpp"

namespace maskerade::golden {
namespace {

using Shape = std::vector<std::int64_t>;

// Of results that round once more than the stored value.
constexpr Tolerance kRounding{1.2e-7, 1.2e-7};

PublishedShape shape_of(const Case& golden) {
  return {golden.batch, golden.query_heads, golden.query_len, golden.key_len};
}
Shape sizes_of(const Case& golden) {
  return {golden.batch, golden.query_heads, golden.query_len, golden.key_len};
}

// The mask of dense weights, or its flagged state.
PublishedMask read_mask(const CaseRun& run, const std::string& tensor, std::size_t operand) {
  const auto& kinds = run.golden.mask_kinds;
  const std::string kind = operand < kinds.size() ? kinds[operand] : "";
  if (kind == "flagged_empty") return PublishedMask::flagged_empty(shape_of(run.golden));
  if (kind == "flagged_full") return PublishedMask::flagged_full(shape_of(run.golden));
  return PublishedMask::from_dense(shape_of(run.golden), run.tensors.floats(tensor));
}

std::vector<float> optional_floats(const CaseRun& run, const std::string& name) {
  return run.tensors.has(name) ? run.tensors.floats(name) : std::vector<float>();
}

PublishedMask from_flat_indices(const CaseRun& run, Duplicates duplicates) {
  return PublishedMask::from_indices(shape_of(run.golden), run.tensors.integers("flat_indices"),
                                     optional_floats(run, "data"), run.tensors.integers("ptr"),
                                     duplicates);
}

PublishedMask from_row_keys(const CaseRun& run, Duplicates duplicates) {
  return PublishedMask::from_rows(shape_of(run.golden), run.tensors.integers("row_idx"),
                                  optional_floats(run, "row_data"),
                                  run.tensors.shape("row_idx").back(), duplicates);
}

// Builds by the default rule, under which a case marked `duplicates` must be refused; returns the
// mask in which the last duplicate counts.
PublishedMask build(const CaseRun& run,
                    PublishedMask (*from)(const CaseRun&, Duplicates),
                    Findings& findings) {
  if (!run.golden.has_edge("duplicates")) return from(run, Duplicates::kError);
  try {
    from(run, Duplicates::kError);
    findings.fail("an entry that appears twice was not refused");
  } catch (const ShapeError&) {
  }
  return from(run, Duplicates::kLast);
}

void compare_entries(const std::string& what,
                     const PublishedEntries& got,
                     const CaseRun& run,
                     Findings& findings) {
  const auto size = static_cast<std::int64_t>(got.indices.size());
  findings.compare(what + " indices", got.indices, run.tensors.integers("back_flat_indices"), {},
                   {size});
  findings.compare(what + " offsets", got.offsets, run.tensors.integers("back_ptr"), {},
                   {static_cast<std::int64_t>(got.offsets.size())});
  findings.compare(what + " weights", got.weights, run.tensors.floats("back_data"), {}, {size});
}

// The mask survives the way through our own masks and through its index form.
void check_round_trips(const Case& golden, const PublishedMask& mask, Findings& findings) {
  const std::vector<float> weights = mask.to_dense();
  const PublishedEntries entries = mask.to_indices();
  const PublishedMask rebuilt =
      PublishedMask::from_indices(mask.shape(), entries.indices, entries.weights, entries.offsets);
  findings.compare("through its indices", rebuilt.to_dense(), weights, {}, sizes_of(golden));
  if (std::any_of(weights.begin(), weights.end(), [](float weight) { return weight > 1.0F; })) {
    return;
  }
  const Mask ours = mask.to_mask(Visibility::all(golden.query_len, golden.key_len));
  findings.compare("through Mask",
                   PublishedMask::from_mask(ours, golden.batch, golden.query_heads).to_dense(),
                   weights, {}, sizes_of(golden));
}

void check_from_indices(const CaseRun& run,
                        const PublishedMask& mask,
                        const std::vector<float>& expected,
                        Tolerance tolerance,
                        Findings& findings) {
  findings.compare("weights", mask.to_dense(), expected, tolerance, sizes_of(run.golden));
  if (run.tensors.has("back_flat_indices") && run.golden.json.value("hub_agrees", false)) {
    compare_entries("index form", mask.to_indices(), run, findings);
  }
  if (run.tensors.has("col_indices") && !run.golden.has_edge("duplicates")) {
    const auto columns = run.tensors.integers("col_indices");
    const std::vector<float> data = optional_floats(run, "data");
    // Our own compressed rows hold active entries only.
    if (std::all_of(data.begin(), data.end(), [](float w) { return w > 0.0F && w <= 1.0F; })) {
      const Mask ours = from_compressed_rows(
          Visibility::all(run.golden.query_len, run.golden.key_len),
          {run.golden.batch, run.golden.query_heads}, run.tensors.integers("ptr"),
          std::vector<std::int32_t>(columns.begin(), columns.end()), data);
      findings.compare("compressed rows as Mask", to_dense(ours), expected, tolerance,
                       sizes_of(run.golden));
    }
  }
}

void check_merge(const CaseRun& run,
                 const std::vector<float>& expected,
                 Tolerance tolerance,
                 Findings& findings) {
  const PublishedMask a = read_mask(run, "w1", 0);
  const PublishedMask b = read_mask(run, "w2", 1);
  const Shape sizes = sizes_of(run.golden);
  findings.compare("merge", merge(a, b).to_dense(), expected, tolerance, sizes);
  findings.compare("merge, operands swapped", merge(b, a).to_dense(), expected, tolerance, sizes);
  check_round_trips(run.golden, a, findings);
  check_round_trips(run.golden, b, findings);
  if (run.tensors.has("exact_independent_union")) {
    const Visibility all = Visibility::all(run.golden.query_len, run.golden.key_len);
    findings.compare("union of Mask", to_dense(union_of(a.to_mask(all), b.to_mask(all))),
                     run.tensors.floats("exact_independent_union"), kRounding, sizes);
  }
}

void check_density(const CaseRun& run,
                   const std::vector<float>& expected,
                   Tolerance tolerance,
                   Findings& findings) {
  const PublishedMask mask = read_mask(run, "w", 0);
  const Case& golden = run.golden;
  findings.compare("density", std::vector<double>{mask.density()}, expected, tolerance, {1});
  if (run.tensors.has("active_count")) {
    findings.compare("active entries", std::vector<std::int64_t>{mask.active_entries()},
                     run.tensors.integers("active_count"), {}, {1});
  }
  if (run.tensors.has("row_active")) {
    findings.compare("active entries of a row", mask.row_active(),
                     run.tensors.integers("row_active"), {},
                     {golden.batch, golden.query_heads, golden.query_len});
  }
  const Mask ours = mask.to_mask(Visibility::all(golden.query_len, golden.key_len));
  findings.compare("density of Mask", std::vector<double>{density(ours)}, expected, tolerance, {1});
  check_round_trips(golden, mask, findings);
}

}  // namespace

void check_mask_op(const CaseRun& run, Findings& findings) {
  const Case& golden = run.golden;
  const Tolerance tolerance{golden.tolerance("rtol"), golden.tolerance("atol")};
  const Shape sizes = sizes_of(golden);
  const std::vector<float> expected = run.tensors.floats("expected_exact");
  if (golden.op == "from_indices") {
    const PublishedMask mask = build(run, from_flat_indices, findings);
    check_from_indices(run, mask, expected, tolerance, findings);
    check_round_trips(golden, mask, findings);
  } else if (golden.op == "from_row_wise") {
    const PublishedMask mask = build(run, from_row_keys, findings);
    findings.compare("weights", mask.to_dense(), expected, tolerance, sizes);
    check_round_trips(golden, mask, findings);
  } else if (golden.op == "apply_mask") {
    findings.compare("apply_mask", apply_mask(read_mask(run, "w", 0), run.tensors.floats("x")),
                     expected, tolerance, sizes);
  } else if (golden.op == "apply_inv_mask") {
    findings.compare("apply_inv_mask",
                     apply_inv_mask(read_mask(run, "w", 0), run.tensors.floats("x")), expected,
                     tolerance, sizes);
  } else if (golden.op == "density") {
    check_density(run, expected, tolerance, findings);
  } else if (golden.op == "merge") {
    check_merge(run, expected, tolerance, findings);
  } else {
    findings.not_covered(fmt::format("there is no check of the operation \"{}\"", golden.op));
  }
}

void compare_with_published(const CaseRun& run, Findings& findings) {
  const Case& golden = run.golden;
  const PublishedRules rules = PublishedRules::as_published();
  const Tolerance tolerance = kRounding;
  const Shape sizes = sizes_of(golden);
  const std::vector<float> hub = run.tensors.floats("hub");
  if (golden.op == "from_indices") {
    findings.compare("weights", from_flat_indices(run, Duplicates::kLast).to_dense(), hub,
                     tolerance, sizes);
  } else if (golden.op == "from_row_wise") {
    findings.compare("weights", from_row_keys(run, Duplicates::kLast).to_dense(), hub, tolerance,
                     sizes);
  } else if (golden.op == "apply_mask") {
    findings.compare("apply_mask",
                     apply_mask(read_mask(run, "w", 0), run.tensors.floats("x"), rules), hub,
                     tolerance, sizes);
  } else if (golden.op == "apply_inv_mask") {
    findings.compare("apply_inv_mask",
                     apply_inv_mask(read_mask(run, "w", 0), run.tensors.floats("x"), rules), hub,
                     tolerance, sizes);
  } else if (golden.op == "density") {
    findings.compare("density", std::vector<double>{read_mask(run, "w", 0).density()}, hub,
                     tolerance, {1});
  } else if (golden.op == "merge") {
    const PublishedMask merged = merge(read_mask(run, "w1", 0), read_mask(run, "w2", 1));
    findings.compare("merge", merged.to_dense(), hub, tolerance, sizes);
    if (golden.json.value("hub_full", merged.is_flagged_full()) != merged.is_flagged_full() ||
        golden.json.value("hub_empty", merged.is_flagged_empty()) != merged.is_flagged_empty()) {
      findings.fail("merge: another flag");
    }
  }
}

}  // namespace maskerade::golden
