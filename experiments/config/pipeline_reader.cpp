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
#include "experiments/config/route_reader.hpp"
#include "experiments/config/scalars.hpp"
#include "experiments/config/workload_kind.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/base/saturate.hpp"

namespace maskerade {
namespace {

// The two forms of a pipeline, for messages.
constexpr const char* kForms = "[{sink: 4}, {local: 64}] or {maskers: [{sink: 4}], only: decode}";

const Preset& find_preset(const YamlNode& name, const PresetTable& presets) {
  const Preset* preset = presets.find(read_text(name, "preset"));
  if (preset == nullptr) {
    throw ConfigError(name.position, fmt::format("unknown preset \"{}\"{}", name.text,
                                                 name_hint(name.text, presets.names())));
  }
  return *preset;
}

// Returns a pipeline's mapping; if it names a preset, the preset's maskers are added, and its
// `only` unless the mapping has one. Throws ConfigError on an unknown preset, or maskers beside a
// preset.
YamlNode resolve_preset(const YamlNode& mapping, const PresetTable& presets) {
  const YamlEntry* name = mapping.find("preset");
  if (name == nullptr) return mapping;
  const Preset& preset = find_preset(name->value, presets);
  if (const YamlEntry* maskers = mapping.find("maskers")) {
    throw ConfigError(maskers->key_position,
                      "a pipeline has maskers or a preset, not both; remove one of them");
  }
  YamlNode resolved = mapping;
  for (const char* key : {"maskers", "only"}) {
    const YamlEntry* given = preset.pipeline.find(key);
    if (given != nullptr && mapping.find(key) == nullptr) resolved.entries.push_back(*given);
  }
  return resolved;
}

// Returns a pipeline in which every preset is resolved and every let-name is replaced by its list.
// The maskers are the list itself, or stand under the key `maskers` of a mapping.
YamlNode splice_pipeline(const YamlNode& pipeline,
                         const LetTable& lets,
                         const PresetTable& presets) {
  if (pipeline.is_list() || pipeline.is_scalar()) return lets.splice(pipeline);
  YamlNode spliced = resolve_preset(pipeline, presets);
  if (is_sweep(pipeline)) {
    YamlNode& choices = spliced.entries.front().value;
    for (YamlNode& choice : choices.items) choice = splice_pipeline(choice, lets, presets);
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

// Reads the pipelines of a file, each either a list of maskers or a mapping that holds one. The
// constructor's arguments must outlive it.
class PipelineReader {
 public:
  PipelineReader(const YamlNode& pipelines, const LetTable& lets, const PipelineContext& context)
      : pipelines_(pipelines), lets_(lets), presets_(context.presets), maskers_(lets, context) {
    const YamlNode none{.kind = YamlNode::Kind::kList, .position = pipelines.position};
    file_overrides_ = expand_sweeps(context.overrides == nullptr ? none : *context.overrides);
    if (context.match != nullptr) matches_ = read_matches(*context.match);
  }

  // Throws ConfigError unless every let can be read, whether a pipeline uses it or not.
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

  // Reads one entry of `pipelines`. Sweeps in it and in the file's overrides give several variants;
  // those for variant i of the file's `match` are appended to specs[i]. A pipeline with a `match`
  // of its own, and every pipeline of a file without `match`, is appended to specs[0].
  void read(const YamlEntry& entry, std::vector<std::vector<PipelineSpec>>& specs) const {
    specs.resize(std::max<std::size_t>(1, matches_.size()));
    const std::vector<Variant> variants =
        expand_sweeps(splice_pipeline(entry.value, lets_, presets_));
    std::size_t known = 0;
    for (const std::vector<PipelineSpec>& of_match : specs) known += of_match.size();
    const std::size_t added = saturating_product(
        variants.size(), saturating_product(file_overrides_.size(), specs.size()));
    if (saturating_sum(known, added) > kMaxCells) {
      throw ConfigError(
          entry.key_position,
          fmt::format("the sweeps of \"{}\", of overrides and of match multiply to more than {} "
                      "pipelines, those before them included; sweep less, or split the experiment "
                      "into several files",
                      entry.key, kMaxCells));
    }
    for (const Variant& variant : variants) {
      for (const Variant& overrides : file_overrides_) {
        std::vector<SweptValue> swept = variant.swept;
        swept.insert(swept.end(), overrides.swept.begin(), overrides.swept.end());
        read_variant(entry, variant.node, overrides.node, swept, specs);
      }
    }
  }

 private:
  // Reads one variant of an entry, with one variant of the file's overrides, and appends it as
  // read() says. swept: what both variants chose.
  void read_variant(const YamlEntry& entry,
                    const YamlNode& node,
                    const YamlNode& file_overrides,
                    const std::vector<SweptValue>& swept,
                    std::vector<std::vector<PipelineSpec>>& specs) const {
    PipelineSpec spec{.name = entry.key,
                      .label = variant_label(entry.key, swept),
                      .position = entry.key_position,
                      .maskers = {}};
    const YamlEntry* own_match = nullptr;
    std::vector<OpenParameter> open;
    if (node.is_list()) {
      spec.maskers = maskers_.read(node, matches_.empty() ? nullptr : &open);
    } else if (node.is_mapping()) {
      own_match = node.find("match");
      read_mapping(node, spec, own_match || !matches_.empty() ? &open : nullptr);
    } else {
      throw ConfigError(node.position,
                        fmt::format("pipeline \"{}\" is {}; it must be a list of maskers, or a "
                                    "mapping that holds one: {}",
                                    entry.key, node.describe(), kForms));
    }
    add_overrides(file_overrides, spec);
    check_order(spec);
    if (own_match != nullptr || matches_.empty()) {
      if (own_match != nullptr && !is_none(own_match->value)) {
        spec.match = match_of(spec, read_match(own_match->value));
      }
      check_open(spec, open);
      specs.front().push_back(std::move(spec));
      return;
    }
    for (std::size_t i = 0; i < matches_.size(); ++i) {
      PipelineSpec& matched = specs[i].emplace_back(spec);
      std::vector<SweptValue> all_swept = swept;
      all_swept.insert(all_swept.end(), matches_[i].swept.begin(), matches_[i].swept.end());
      matched.label = variant_label(entry.key, all_swept);
      matched.match = match_of(spec, matches_[i]);
      check_open(matched, open);
    }
  }

  // Reads a pipeline in the form of a mapping into `spec`. A missing required first parameter is
  // appended to `open`, as in MaskerReader::read().
  void read_mapping(const YamlNode& mapping,
                    PipelineSpec& spec,
                    std::vector<OpenParameter>* open) const {
    require_keys(mapping, fmt::format("pipeline \"{}\"", spec.name), accepted_keys("pipeline"));
    spec.maskers = maskers_.read(require_maskers(mapping, spec.name), open);
    if (const YamlEntry* only = mapping.find("only")) {
      spec.only =
          parse_workload_kind(read_choice(only->value, "workload kind", accepted_choices("only")));
    }
    if (const YamlEntry* overrides = mapping.find("overrides")) {
      add_overrides(overrides->value, spec);
    }
    if (const YamlEntry* name = mapping.find("preset")) {
      const Preset& preset = find_preset(name->value, presets_);
      if (const YamlEntry* overrides = preset.pipeline.find("overrides")) {
        add_overrides(overrides->value, spec);
      }
    }
  }

  static const YamlNode& require_maskers(const YamlNode& mapping, const std::string& name) {
    const YamlEntry* maskers = mapping.find("maskers");
    if (maskers == nullptr) {
      throw ConfigError(
          mapping.position,
          fmt::format("pipeline \"{}\" has no maskers; add maskers: [{{sink: 4}}], or "
                      "name a preset",
                      name));
    }
    if (!maskers->value.is_list()) {
      throw ConfigError(
          maskers->value.position,
          fmt::format("maskers of pipeline \"{}\" is {}; it must be a list: [{{sink: 4}}]", name,
                      maskers->value.describe()));
    }
    return maskers->value;
  }

  void add_overrides(const YamlNode& list, PipelineSpec& spec) const {
    for (RouteRule& rule :
         read_overrides(list, [&](const YamlNode& use) { return maskers_of(use); })) {
      spec.overrides.push_back(std::move(rule));
    }
  }

  // Returns the maskers of the pipeline, let or preset that `use` names, without its overrides,
  // `only` or `match`. Throws ConfigError on an unknown name and on one that stands for several
  // pipelines.
  std::vector<MaskerUse> maskers_of(const YamlNode& use) const {
    const YamlEntry* pipeline = pipelines_.find(use.text);
    if (pipeline == nullptr && !lets_.has_let(use.text)) {
      if (const Preset* preset = presets_.find(use.text)) {
        return maskers_.read(require_maskers(preset->pipeline, use.text), nullptr);
      }
    }
    if (pipeline == nullptr && !lets_.has(use.text)) {
      std::vector<std::string> known = lets_.names();
      for (const YamlEntry& entry : pipelines_.entries) known.push_back(entry.key);
      known.emplace_back(kDenseName);
      throw ConfigError(use.position, fmt::format("unknown pipeline or let \"{}\"{}", use.text,
                                                  name_hint(use.text, known)));
    }
    const std::vector<Variant> variants =
        expand_sweeps(pipeline == nullptr ? lets_.splice(use)
                                          : splice_pipeline(pipeline->value, lets_, presets_));
    if (variants.size() > 1) {
      throw ConfigError(
          use.position,
          fmt::format("\"{}\" stands for {} pipelines, as it has sweeps; name one without sweeps",
                      use.text, variants.size()));
    }
    const YamlNode& node = variants.front().node;
    return maskers_.read(node.is_mapping() ? require_maskers(node, use.text) : node, nullptr);
  }

  // Throws ConfigError where a list of maskers is no valid pipeline, because of its samplers.
  static void check_order(const PipelineSpec& spec) {
    const auto check = [&](const std::vector<MaskerUse>& maskers, const TextPosition& position) {
      try {
        const Pipeline checked(maskers);
      } catch (const Error& error) {
        throw ConfigError(position, fmt::format("pipeline \"{}\": {}", spec.name, error.what()));
      }
    };
    check(spec.maskers, spec.position);
    for (const RouteRule& rule : spec.overrides) check(rule.maskers, rule.position);
  }

  // Throws ConfigError for a missing required parameter that the pipeline's `match` does not
  // search.
  static void check_open(const PipelineSpec& spec, const std::vector<OpenParameter>& open) {
    for (const OpenParameter& parameter : open) {
      if (spec.match && spec.match->masker == parameter.masker && spec.match->parameter == 0) {
        continue;
      }
      throw ConfigError(parameter.position, parameter.error);
    }
  }

  static bool is_none(const YamlNode& match) { return match.is_scalar() && match.text == "none"; }

  const YamlNode& pipelines_;
  const LetTable& lets_;
  const PresetTable& presets_;
  MaskerReader maskers_;
  std::vector<Variant> file_overrides_;
  std::vector<MatchRequest> matches_;  // the variants of the file's `match`; empty: it has none
};

}  // namespace

std::vector<PipelineSpec> read_pipelines(const YamlNode& pipelines,
                                         const YamlNode* let,
                                         const PipelineContext& context) {
  const LetTable lets(let, context.presets, context.catalog);
  const PipelineReader reader(pipelines, lets, context);
  reader.check_lets();
  std::vector<std::vector<PipelineSpec>> specs;
  for (const YamlEntry& entry : pipelines.entries) {
    if (entry.key == "sweep" || entry.key == "zip") {
      throw ConfigError(
          entry.key_position,
          fmt::format("\"{0}\" cannot be the name of a pipeline; write the {0} inside a pipeline",
                      entry.key));
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
