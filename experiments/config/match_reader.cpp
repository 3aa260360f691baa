#include "experiments/config/match_reader.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/expansion.hpp"
#include "experiments/config/scalars.hpp"
#include "experiments/match/parameter_range.hpp"
#include "framework/base/nearest_name.hpp"

namespace maskerade {
namespace {

constexpr const char* kExample = "match: {density: 10%}";

double read_target(MatchQuantity quantity, const YamlNode& value) {
  const std::string what = fmt::format("match.{}", name_of(quantity));
  switch (quantity) {
    case MatchQuantity::kTotalBytes:
    case MatchQuantity::kTotalMs:
      return read_positive(value, what);
    default:
      return read_share(value, what);
  }
}

}  // namespace

MatchRequest read_match(const YamlNode& node) {
  if (!node.is_mapping()) {
    throw ConfigError(node.position,
                      fmt::format("match is {}; it must say what to reach, for example {}",
                                  node.describe(), kExample));
  }
  require_keys(node, "match", accepted_keys("match"));
  MatchRequest request{.spec = {}, .parameter = "", .position = node.position};
  const YamlEntry* named = nullptr;
  for (const YamlEntry& entry : node.entries) {
    const std::optional<MatchQuantity> quantity = parse_match_quantity(entry.key);
    if (!quantity) continue;
    if (named != nullptr) {
      throw ConfigError(
          entry.key_position,
          fmt::format("match names {} and {}; give it one of them", named->key, entry.key));
    }
    named = &entry;
    request.spec.quantity = *quantity;
    request.spec.target = read_target(*quantity, entry.value);
  }
  if (named == nullptr) {
    throw ConfigError(node.position, fmt::format("match names nothing to reach; give it a target, "
                                                 "for example {}",
                                                 kExample));
  }
  if (const YamlEntry* tolerance = node.find("tolerance")) {
    request.spec.tolerance = read_share(tolerance->value, "match.tolerance");
  }
  if (const YamlEntry* on_miss = node.find("on_miss")) {
    request.spec.on_miss =
        *parse_miss_rule(read_choice(on_miss->value, "match.on_miss", accepted_choices("on_miss")));
  }
  if (const YamlEntry* parameter = node.find("parameter")) {
    request.parameter = read_text(parameter->value, "match.parameter");
    request.position = parameter->value.position;
  }
  return request;
}

std::vector<MatchRequest> read_matches(const YamlNode& match) {
  std::vector<MatchRequest> requests;
  for (const Variant& variant : expand_sweeps(match)) {
    requests.push_back(read_match(variant.node));
    requests.back().swept = variant.swept;
  }
  return requests;
}

namespace {

// The name of a masker in `match.parameter`: "oracle_topk", or "oracle_topk#2" for the second of
// that id in the pipeline.
std::string use_name(const PipelineSpec& pipeline, std::size_t masker) {
  const std::string id = pipeline.maskers[masker].type->id();
  int number = 1;
  for (std::size_t i = 0; i < masker; ++i) number += pipeline.maskers[i].type->id() == id ? 1 : 0;
  return number == 1 ? id : fmt::format("{}#{}", id, number);
}

const maskerade_parameter& parameter_of(const PipelineSpec& pipeline, const MatchSpec& spec) {
  return pipeline.maskers[spec.masker].type->descriptor().parameters[spec.parameter];
}

// Sets the spec's masker and parameter to those that the request names. Throws ConfigError where
// the pipeline has no such parameter or it cannot be searched.
void find_named(const PipelineSpec& pipeline, const MatchRequest& request, MatchSpec& spec) {
  const std::size_t dot = request.parameter.find('.');
  const std::string masker = request.parameter.substr(0, dot);
  if (dot == std::string::npos || masker.empty() || dot + 1 == request.parameter.size()) {
    throw ConfigError(request.position,
                      fmt::format("match.parameter is {}; it must be MASKER.PARAMETER, such as "
                                  "oracle_topk.budget",
                                  request.parameter));
  }
  std::vector<std::string> uses;
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < pipeline.maskers.size(); ++i) {
    uses.push_back(use_name(pipeline, i));
    if (uses.back() == masker) found = i;
  }
  if (!found) {
    throw ConfigError(request.position,
                      fmt::format("pipeline \"{}\" has no masker \"{}\" to match{}", pipeline.name,
                                  masker, name_hint(masker, uses)));
  }
  const maskerade_masker_descriptor& descriptor = pipeline.maskers[*found].type->descriptor();
  const std::string parameter = request.parameter.substr(dot + 1);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    names.emplace_back(descriptor.parameters[i].name);
    if (names.back() != parameter) continue;
    spec.masker = *found;
    spec.parameter = i;
    if (const std::string obstacle = search_obstacle(descriptor.parameters[i]); !obstacle.empty()) {
      throw ConfigError(
          request.position,
          fmt::format("{} {}; match can search only a parameter in tokens, a share, a "
                      "count, blocks or a number",
                      request.parameter, obstacle));
    }
    return;
  }
  throw ConfigError(request.position, fmt::format("\"{}\" has no parameter \"{}\"{}", descriptor.id,
                                                  parameter, name_hint(parameter, names)));
}

// Sets the spec's masker to the last one whose first parameter can be searched, and its parameter
// to that first one. Throws ConfigError where there is none.
void find_last(const PipelineSpec& pipeline, const MatchRequest& request, MatchSpec& spec) {
  for (std::size_t i = pipeline.maskers.size(); i-- > 0;) {
    const maskerade_masker_descriptor& descriptor = pipeline.maskers[i].type->descriptor();
    if (descriptor.parameter_count == 0 || !search_obstacle(descriptor.parameters[0]).empty()) {
      continue;
    }
    spec.masker = i;
    spec.parameter = 0;
    return;
  }
  throw ConfigError(request.position,
                    fmt::format("pipeline \"{}\" has no masker whose first parameter is a number "
                                "that match could search; name one as parameter: MASKER.PARAMETER, "
                                "or give the pipeline match: none",
                                pipeline.name));
}

}  // namespace

MatchSpec match_of(const PipelineSpec& pipeline, const MatchRequest& request) {
  MatchSpec spec = request.spec;
  if (request.parameter.empty()) {
    find_last(pipeline, request, spec);
  } else {
    find_named(pipeline, request, spec);
  }
  spec.name =
      fmt::format("{}.{}", use_name(pipeline, spec.masker), parameter_of(pipeline, spec).name);
  if (spec.quantity != MatchQuantity::kAttentionRecall) return spec;
  std::vector<MaskerUse> all = pipeline.maskers;
  for (const RouteRule& rule : pipeline.overrides) {
    all.insert(all.end(), rule.maskers.begin(), rule.maskers.end());
  }
  for (const MaskerUse& use : all) {
    if (!samples(use.type->descriptor(), *use.arguments)) continue;
    throw ConfigError(
        request.position,
        fmt::format("pipeline \"{}\" cannot be matched by attention_recall: \"{}\" samples, and "
                    "recall counts the keys that are selected for certain; match density, "
                    "rel_l2_error, total_bytes or total_ms",
                    pipeline.name, use.type->id()));
  }
  return spec;
}

}  // namespace maskerade
