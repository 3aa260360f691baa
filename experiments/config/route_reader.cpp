#include "experiments/config/route_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/scalars.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

RouteRule read_rule(const YamlNode& node, const MaskersByName& maskers_of) {
  require_keys(node, "an override", accepted_keys("override"));
  RouteRule rule{.layers = {}, .heads = {}, .use = {}, .position = node.position};
  if (const YamlEntry* layers = node.find("layers")) {
    rule.layers = read_numbers_or_all(layers->value, "layers");
  }
  if (const YamlEntry* heads = node.find("heads")) {
    rule.heads = read_numbers_or_all(heads->value, "heads");
    rule.position = heads->value.position;
  }
  const YamlEntry* use = node.find("use");
  if (use == nullptr) {
    throw ConfigError(node.position,
                      "an override has no \"use\"; name the pipeline, let or preset that selects "
                      "there, or dense: {layers: [0, 1], use: dense}");
  }
  rule.use = read_text(use->value, "use");
  rule.is_dense = rule.use == kDenseName;
  if (!rule.is_dense) rule.maskers = maskers_of(use->value);
  return rule;
}

}  // namespace

bool RouteRule::is_for_layer(std::optional<std::int64_t> layer) const {
  return !layers || (layer && std::find(layers->begin(), layers->end(), *layer) != layers->end());
}

bool may_hold(const RouteRule& rule, const WorkloadSpec& workload) {
  const std::optional<std::int64_t> layer = workload.source->layer();
  return rule.is_for_layer(layer) || (!layer && !workload.source->is_generated());
}

std::vector<RouteRule> read_overrides(const YamlNode& list, const MaskersByName& maskers_of) {
  if (!list.is_list()) {
    throw ConfigError(list.position,
                      fmt::format("overrides is {}; it must be a list: [{{layers: [0, 1], use: "
                                  "dense}}]",
                                  list.describe()));
  }
  std::vector<RouteRule> rules;
  for (const YamlNode& item : list.items) rules.push_back(read_rule(item, maskers_of));
  return rules;
}

void check_heads(const RouteRule& rule, std::int64_t query_heads, const std::string& workload) {
  if (!rule.heads) return;
  const auto largest = std::max_element(rule.heads->begin(), rule.heads->end());
  if (*largest < query_heads) return;
  throw ConfigError(
      rule.position,
      fmt::format("an override names query head {}, but workload \"{}\" has the query heads "
                  "0 to {}",
                  *largest, workload, query_heads - 1));
}

void check_heads(const PipelineSpec& pipeline, const WorkloadSpec& workload) {
  if (!workload.query_heads || !runs_on(pipeline, workload)) return;
  for (const RouteRule& rule : pipeline.overrides) {
    if (rule.is_for_layer(workload.source->layer())) {
      check_heads(rule, *workload.query_heads, workload.name);
    }
  }
}

}  // namespace maskerade
