#include "experiments/config/pipeline_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/expansion.hpp"
#include "experiments/config/let_table.hpp"
#include "experiments/config/masker_reader.hpp"
#include "experiments/config/match_reader.hpp"
#include "experiments/config/scalars.hpp"
#include "experiments/config/workload_kind.hpp"

namespace maskerade {
namespace {

constexpr const char* kForms = "[{sink: 4}, {local: 64}] or {maskers: [{sink: 4}], only: decode}";

// A pipeline with its let-names spliced: in the list, or in the `maskers` of a mapping.
YamlNode splice_pipeline(const YamlNode& pipeline, const LetTable& lets) {
  if (pipeline.is_list() || pipeline.is_scalar()) return lets.splice(pipeline);
  YamlNode spliced = pipeline;
  if (is_sweep(pipeline)) {
    YamlNode& choices = spliced.entries.front().value;
    for (YamlNode& choice : choices.items) choice = splice_pipeline(choice, lets);
    return spliced;
  }
  for (YamlEntry& entry : spliced.entries) {
    if (entry.key == "maskers") entry.value = lets.splice(entry.value);
    if (entry.key != "zip") continue;
    for (YamlEntry& zipped : entry.value.entries) {
      if (zipped.key == "maskers") zipped.value = lets.splice(zipped.value);
    }
  }
  return spliced;
}

// Reads the pipelines of a file, each in one of its two forms.
class PipelineReader {
 public:
  PipelineReader(const LetTable& lets, const PipelineContext& context)
      : lets_(lets), maskers_(lets, context) {
    if (context.match != nullptr) matches_ = read_matches(*context.match);
  }

  // Every let is validated, used or not.
  void check_lets() const {
    for (const YamlEntry& entry : lets_.entries()) {
      YamlNode name{
          .kind = YamlNode::Kind::kScalar, .position = entry.key_position, .text = entry.key};
      for (const Variant& variant : expand_sweeps(lets_.splice(name))) {
        std::vector<OpenParameter> open;
        maskers_.read(variant.node, matches_.empty() ? nullptr : &open);
      }
    }
  }

  // Adds the variants that the sweeps of one entry of `pipelines` give; specs[i] gets those of
  // variant i of the file's match, the first of them what has its own or none.
  void read(const YamlEntry& entry, std::vector<std::vector<PipelineSpec>>& specs) const {
    specs.resize(std::max<std::size_t>(1, matches_.size()));
    for (const Variant& variant : expand_sweeps(splice_pipeline(entry.value, lets_))) {
      PipelineSpec spec{.name = entry.key,
                        .label = variant_label(entry.key, variant.swept),
                        .position = entry.key_position,
                        .maskers = {}};
      const YamlEntry* own_match = nullptr;
      std::vector<OpenParameter> open;
      if (variant.node.is_list()) {
        spec.maskers = maskers_.read(variant.node, matches_.empty() ? nullptr : &open);
      } else if (variant.node.is_mapping()) {
        own_match = variant.node.find("match");
        read_mapping(variant.node, spec, own_match || !matches_.empty() ? &open : nullptr);
      } else {
        throw ConfigError(variant.node.position,
                          fmt::format("pipeline \"{}\" is {}; it must be a list of maskers, or a "
                                      "mapping that holds one: {}",
                                      entry.key, variant.node.describe(), kForms));
      }
      check_order(spec);
      if (own_match != nullptr || matches_.empty()) {
        if (own_match != nullptr && !is_none(own_match->value)) {
          spec.match = match_of(spec, read_match(own_match->value));
        }
        check_open(spec, open);
        specs.front().push_back(std::move(spec));
        continue;
      }
      for (std::size_t i = 0; i < matches_.size(); ++i) {
        PipelineSpec& matched = specs[i].emplace_back(spec);
        std::vector<SweptValue> swept = variant.swept;
        swept.insert(swept.end(), matches_[i].swept.begin(), matches_[i].swept.end());
        matched.label = variant_label(entry.key, swept);
        matched.match = match_of(spec, matches_[i]);
        check_open(matched, open);
      }
    }
  }

 private:
  // The mapping form: what holds for the pipeline as a whole stands beside its maskers.
  void read_mapping(const YamlNode& mapping,
                    PipelineSpec& spec,
                    std::vector<OpenParameter>* open) const {
    require_keys(mapping, fmt::format("pipeline \"{}\"", spec.name), accepted_keys("pipeline"));
    spec.maskers = maskers_.read(require_maskers(mapping, spec), open);
    if (const YamlEntry* only = mapping.find("only")) {
      spec.only = parse_workload_kind(read_choice(only->value, "only", accepted_choices("only")));
    }
  }

  static const YamlNode& require_maskers(const YamlNode& mapping, const PipelineSpec& spec) {
    const YamlEntry* maskers = mapping.find("maskers");
    if (maskers == nullptr) {
      throw ConfigError(
          mapping.position,
          fmt::format("pipeline \"{}\" has no maskers; add maskers: [{{sink: 4}}]", spec.name));
    }
    if (!maskers->value.is_list()) {
      throw ConfigError(
          maskers->value.position,
          fmt::format("maskers of pipeline \"{}\" is {}; it must be a list: [{{sink: 4}}]",
                      spec.name, maskers->value.describe()));
    }
    return maskers->value;
  }

  static void check_order(const PipelineSpec& spec) {
    try {
      const Pipeline check(spec.maskers);
    } catch (const Error& error) {
      throw ConfigError(spec.position, fmt::format("pipeline \"{}\": {}", spec.name, error.what()));
    }
  }

  // What is left open must be what the search is for.
  static void check_open(const PipelineSpec& spec, const std::vector<OpenParameter>& open) {
    for (const OpenParameter& parameter : open) {
      if (spec.match && spec.match->masker == parameter.masker && spec.match->parameter == 0) {
        continue;
      }
      throw ConfigError(parameter.position, parameter.error);
    }
  }

  static bool is_none(const YamlNode& match) { return match.is_scalar() && match.text == "none"; }

  const LetTable& lets_;
  MaskerReader maskers_;
  std::vector<MatchRequest> matches_;  // the variants of the file's match
};

}  // namespace

std::vector<PipelineSpec> read_pipelines(const YamlNode& pipelines,
                                         const YamlNode* let,
                                         const PipelineContext& context) {
  const LetTable lets(let, context.catalog);
  const PipelineReader reader(lets, context);
  reader.check_lets();
  std::vector<std::vector<PipelineSpec>> specs;
  for (const YamlEntry& entry : pipelines.entries) {
    if (entry.key == "sweep" || entry.key == "zip") {
      throw ConfigError(
          entry.key_position,
          fmt::format("{} stands inside a pipeline, not for the pipelines", entry.key));
    }
    reader.read(entry, specs);
  }
  std::vector<PipelineSpec> all;
  for (std::vector<PipelineSpec>& variant : specs) {
    std::move(variant.begin(), variant.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace maskerade
