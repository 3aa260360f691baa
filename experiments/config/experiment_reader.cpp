#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>

#include "attention/reference/row_judgement.hpp"
#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/assignments.hpp"
#include "experiments/config/expansion.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/config/pipeline_reader.hpp"
#include "experiments/config/route_reader.hpp"
#include "experiments/config/scalars.hpp"
#include "experiments/config/workload_kind.hpp"
#include "experiments/config/workload_reader.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kMaxChecks = 100'000;
constexpr std::int64_t kMaxCoverageSeeds = 1'000'000;
constexpr std::int64_t kMaxCoverageRows = 1'000'000;

constexpr const char* kNameExample = "\n  name: my-first-experiment";
constexpr const char* kWorkloadExample =
    "\n  workload: {source: {kind: gaussian, seed: 1}, query_heads: 8, query_len: 1024,"
    "\n             key_len: 1024, head_dim: 64, causal: true}";
constexpr const char* kWorkloadsExample =
    "\n  workloads:"
    "\n    prefill: {source: {kind: gaussian, seed: 1}, query_heads: 8, query_len: 1024,"
    "\n              key_len: 1024, head_dim: 64, causal: true}";
constexpr const char* kPipelinesExample =
    "\n  pipelines:"
    "\n    streaming: [{sink: 4}, {local: 64}]";

const YamlEntry& require_section(const YamlNode& root,
                                 std::string_view key,
                                 std::string_view example) {
  const YamlEntry* entry = root.find(key);
  if (entry == nullptr) {
    throw ConfigError({root.position.file, 0, 0},
                      fmt::format("there is no \"{}\"; add one, for example:", key),
                      ConfigExample{std::string(example)});
  }
  return *entry;
}

// Throws ConfigError, with the example, unless the section is a mapping with at least one entry.
void require_named_entries(const YamlEntry& section, const std::string& example) {
  if (!section.value.is_mapping() || section.value.entries.empty()) {
    throw ConfigError(
        section.value.position,
        fmt::format("{} is {}; it must be a mapping of names, for example:", section.key,
                    section.value.is_mapping() ? "an empty mapping" : section.value.describe()),
        ConfigExample{example});
  }
}

std::vector<WorkloadSpec> read_workloads(const YamlNode& root,
                                         const std::filesystem::path& folder) {
  const YamlEntry* several = root.find("workloads");
  if (several == nullptr) {
    const YamlEntry& one = require_section(root, "workload", kWorkloadExample);
    return read_workload("workload", one.key_position, one.value, folder);
  }
  if (const YamlEntry* one = root.find("workload")) {
    throw ConfigError(one->key_position,
                      "both \"workload\" and \"workloads\" are given; keep one of them");
  }
  require_named_entries(*several, kWorkloadsExample);
  std::vector<WorkloadSpec> specs;
  for (const YamlEntry& entry : several->value.entries) {
    if (entry.key == "sweep" || entry.key == "zip") {
      throw ConfigError(
          entry.key_position,
          fmt::format("\"{0}\" cannot be the name of a workload; write the {0} inside a workload",
                      entry.key));
    }
    for (WorkloadSpec& spec : read_workload(entry.key, entry.key_position, entry.value, folder)) {
      specs.push_back(std::move(spec));
    }
    if (specs.size() > kMaxCells) {
      throw ConfigError(entry.key_position,
                        fmt::format("there are more than {} workloads up to here; sweep less, or "
                                    "split the experiment into several files",
                                    kMaxCells));
    }
  }
  return specs;
}

// Reads a list of different names, each of which must be one of `known`. `what` names one of them
// in messages: "device".
std::vector<std::string> read_names(const YamlEntry& section,
                                    const std::string& what,
                                    const std::vector<std::string>& known) {
  if (!section.value.is_list() || section.value.items.empty()) {
    throw ConfigError(
        section.value.position,
        fmt::format("{} is {}; it must be a list of: {}", section.key,
                    section.value.is_list() ? "an empty list" : section.value.describe(),
                    fmt::join(known, ", ")));
  }
  std::vector<std::string> names;
  for (const YamlNode& item : section.value.items) {
    const std::string name = read_choice(item, what, known);
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      throw ConfigError(item.position, fmt::format("{} lists {} twice", section.key, name));
    }
    names.push_back(name);
  }
  return names;
}

std::vector<std::uint64_t> read_mask_seeds(const YamlNode& root) {
  const YamlEntry* section = root.find("seeds");
  if (section == nullptr) return {0};
  require_keys(section->value, "seeds", accepted_keys("seeds"));
  const YamlEntry* mask = section->value.find("mask");
  if (mask == nullptr) return {0};
  if (!mask->value.is_list()) return {read_seed(mask->value, "seeds.mask")};
  if (mask->value.items.empty()) {
    throw ConfigError(mask->value.position,
                      "seeds.mask is an empty list; it must be a whole number or a list of them");
  }
  std::vector<std::uint64_t> seeds;
  std::set<std::uint64_t> seen;
  for (const YamlNode& item : mask->value.items) {
    const std::uint64_t seed = read_seed(item, "seeds.mask");
    if (!seen.insert(seed).second) {
      throw ConfigError(item.position, fmt::format("seeds.mask lists {} twice", seed));
    }
    seeds.push_back(seed);
  }
  return seeds;
}

CheckSpec read_check(const YamlNode& node) {
  require_keys(node, "check", accepted_keys("check"));
  CheckSpec spec;
  if (const YamlEntry* rows = node.find("oracle_rows")) {
    const bool all = rows->value.is_scalar() && rows->value.text == "all";
    spec.oracle_rows = all ? -1
                           : read_whole(rows->value, "check.oracle_rows", 0,
                                        std::numeric_limits<std::int64_t>::max(), ", or all");
  }
  if (const YamlEntry* seeds = node.find("coverage_seeds")) {
    spec.coverage_seeds = read_whole(seeds->value, "check.coverage_seeds", 0, kMaxCoverageSeeds);
  }
  if (const YamlEntry* rows = node.find("coverage_rows")) {
    spec.coverage_rows = read_whole(rows->value, "check.coverage_rows", 1, kMaxCoverageRows);
  }
  if (const YamlEntry* tolerance = node.find("tolerance")) {
    spec.tolerance = read_positive(tolerance->value, "check.tolerance");
    if (*spec.tolerance > kWidestAllowance) {
      throw ConfigError(tolerance->value.position,
                        fmt::format("check.tolerance is {}; it must be at most {}: no row that "
                                    "errs by more can be told from a wrong one",
                                    tolerance->value.text, kWidestAllowance));
    }
  }
  return spec;
}

MeasureSpec read_measure(const YamlNode& node) {
  require_keys(node, "measure", accepted_keys("measure"));
  MeasureSpec spec;
  if (const YamlEntry* target = node.find("target")) {
    spec.target = read_share(target->value, "measure.target");
  }
  if (const YamlEntry* budget = node.find("budget")) {
    spec.budget_ms = read_duration_ms(budget->value, "measure.budget");
  }
  if (const YamlEntry* cache = node.find("cache")) {
    spec.is_warm = read_choice(cache->value, "measure.cache", accepted_choices("cache")) == "warm";
  }
  if (const YamlEntry* graph = node.find("graph")) {
    spec.uses_graph = read_bool(graph->value, "measure.graph");
  }
  if (const YamlEntry* timeout = node.find("cell_timeout")) {
    spec.cell_timeout_ms = read_duration_ms(timeout->value, "measure.cell_timeout");
  }
  if (const YamlEntry* memory = node.find("cell_memory")) {
    spec.cell_memory_bytes = read_memory_bytes(memory->value, "measure.cell_memory");
  }
  return spec;
}

// Throws ConfigError where two samplers of a pipeline, or of one of its overrides, draw from the
// same keys. Checks nothing when the workload's key_len is not known yet.
void check_samplers(const PipelineSpec& pipeline, const WorkloadSpec& workload) {
  if (!workload.key_len || !runs_on(pipeline, workload)) return;
  const auto check = [&](const std::vector<MaskerUse>& maskers, const TextPosition& position) {
    try {
      check_populations(maskers, *workload.key_len);
      check_populations(maskers, *workload.key_len + workload.decode_steps.value_or(0));
    } catch (const Error& error) {
      throw ConfigError(position, fmt::format("pipeline \"{}\", workload \"{}\": {}", pipeline.name,
                                              workload.name, error.what()));
    }
  };
  check(pipeline.maskers, pipeline.position);
  for (const RouteRule& rule : pipeline.overrides) {
    if (rule.is_for_layer(workload.source->layer())) check(rule.maskers, rule.position);
  }
}

std::vector<Variant> expand_section(const YamlNode& root, const std::string& key) {
  const YamlEntry* section = root.find(key);
  if (section != nullptr) return expand_sweeps(section->value);
  return {{.node = {.kind = YamlNode::Kind::kMapping, .position = root.position}}};
}

std::vector<CellRules> read_checks(const YamlNode& root) {
  const std::vector<Variant> check_variants = expand_section(root, "check");
  const std::vector<Variant> measure_variants = expand_section(root, "measure");
  if (check_variants.size() > kMaxChecks / measure_variants.size()) {
    throw ConfigError(root.find("check")->key_position,
                      fmt::format("check and measure multiply to {} variants; the limit is {}, so "
                                  "sweep fewer values",
                                  check_variants.size() * measure_variants.size(), kMaxChecks));
  }
  std::vector<CellRules> checks;
  for (const Variant& check : check_variants) {
    for (const Variant& measure : measure_variants) {
      checks.push_back({.check = read_check(check.node), .measure = read_measure(measure.node)});
    }
  }
  return checks;
}

Isolation read_isolation(const YamlNode& root) {
  const YamlEntry* entry = root.find("isolate");
  if (entry == nullptr) return Isolation::kAuto;
  const std::string name = read_choice(entry->value, "isolate", accepted_choices("isolate"));
  const Isolation isolation = name == "auto"   ? Isolation::kAuto
                              : name == "true" ? Isolation::kAll
                                               : Isolation::kNone;
  const YamlEntry* measure = root.find("measure");
  if (isolation != Isolation::kNone || measure == nullptr) return isolation;
  for (const char* key : {"cell_timeout", "cell_memory"}) {
    if (const YamlEntry* limit = measure->value.find(key)) {
      throw ConfigError(limit->key_position,
                        fmt::format("measure.{} bounds cells in processes of their own, and "
                                    "isolate: false gives them none; leave one of the two out",
                                    key));
    }
  }
  return isolation;
}

}  // namespace

Experiment read_experiment(const std::filesystem::path& file,
                           const std::vector<Assignment>& assignments,
                           const Catalog& catalog,
                           const PresetTable& presets) {
  return parse_experiment(read_yaml_text(file), file, assignments, catalog, presets);
}

Experiment parse_experiment(const std::string& text,
                            const std::filesystem::path& file,
                            const std::vector<Assignment>& assignments,
                            const Catalog& catalog,
                            const PresetTable& presets) {
  YamlNode root = parse_yaml(text, file.string());
  if (root.is_empty()) {
    throw ConfigError(
        {file.string(), 0, 0}, "the file is empty; an experiment begins, for example:",
        ConfigExample{std::string(kNameExample) + kWorkloadExample + kPipelinesExample});
  }
  for (const Assignment& assignment : assignments) root = apply_assignment(root, assignment);
  require_keys(root, "the experiment file", accepted_keys("experiment"));

  Experiment experiment;
  experiment.file = file;
  experiment.text = text;
  experiment.assignments = assignments;
  experiment.name = read_text(require_section(root, "name", kNameExample).value, "name");
  experiment.mask_seeds = read_mask_seeds(root);
  const std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
  experiment.workloads = read_workloads(root, folder);
  const YamlEntry& pipelines = require_section(root, "pipelines", kPipelinesExample);
  require_named_entries(pipelines, kPipelinesExample);
  const auto section = [&](const char* key) {
    const YamlEntry* entry = root.find(key);
    return entry == nullptr ? nullptr : &entry->value;
  };
  experiment.pipelines =
      read_pipelines(pipelines.value, section("let"),
                     {catalog, folder, presets, section("overrides"), section("match")});
  if (std::any_of(experiment.pipelines.begin(), experiment.pipelines.end(),
                  [](const PipelineSpec& spec) { return spec.only.has_value(); })) {
    for (WorkloadSpec& workload : experiment.workloads) workload.kind = kind_of(workload);
  }
  check_pairs(experiment);
  for (const PipelineSpec& pipeline : experiment.pipelines) {
    for (const WorkloadSpec& workload : experiment.workloads) {
      check_heads(pipeline, workload);
      check_samplers(pipeline, workload);
    }
  }
  const YamlEntry* devices = root.find("devices");
  experiment.devices = devices == nullptr
                           ? std::vector<std::string>{"cpu"}
                           : read_names(*devices, "device", accepted_choices("devices"));
  const YamlEntry* kernels = root.find("kernels");
  experiment.kernels = kernels == nullptr
                           ? std::vector<std::string>{"auto"}
                           : read_names(*kernels, "kernel", accepted_choices("kernels"));
  experiment.checks = read_checks(root);
  experiment.isolation = read_isolation(root);
  return experiment;
}

}  // namespace maskerade
