#include "experiments/config/pipeline_reader.hpp"

#include <fmt/format.h>

#include <utility>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/expansion.hpp"
#include "experiments/config/let_table.hpp"
#include "experiments/config/masker_reader.hpp"
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
      : lets_(lets), maskers_(lets, context) {}

  // Every let is validated, used or not.
  void check_lets() const {
    for (const YamlEntry& entry : lets_.entries()) {
      YamlNode name{
          .kind = YamlNode::Kind::kScalar, .position = entry.key_position, .text = entry.key};
      for (const Variant& variant : expand_sweeps(lets_.splice(name))) maskers_.read(variant.node);
    }
  }

  // The variants that the sweeps of one entry of `pipelines` give.
  std::vector<PipelineSpec> read(const YamlEntry& entry) const {
    std::vector<PipelineSpec> specs;
    for (const Variant& variant : expand_sweeps(splice_pipeline(entry.value, lets_))) {
      PipelineSpec spec{.name = entry.key,
                        .label = variant_label(entry.key, variant.swept),
                        .position = entry.key_position,
                        .maskers = {}};
      if (variant.node.is_list()) {
        spec.maskers = maskers_.read(variant.node);
      } else if (variant.node.is_mapping()) {
        read_mapping(variant.node, spec);
      } else {
        throw ConfigError(variant.node.position,
                          fmt::format("pipeline \"{}\" is {}; it must be a list of maskers, or a "
                                      "mapping that holds one: {}",
                                      entry.key, variant.node.describe(), kForms));
      }
      check_order(spec);
      specs.push_back(std::move(spec));
    }
    return specs;
  }

 private:
  // The mapping form: what holds for the pipeline as a whole stands beside its maskers.
  void read_mapping(const YamlNode& mapping, PipelineSpec& spec) const {
    require_keys(mapping, fmt::format("pipeline \"{}\"", spec.name), accepted_keys("pipeline"));
    spec.maskers = maskers_.read(require_maskers(mapping, spec));
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

  const LetTable& lets_;
  MaskerReader maskers_;
};

}  // namespace

std::vector<PipelineSpec> read_pipelines(const YamlNode& pipelines,
                                         const YamlNode* let,
                                         const PipelineContext& context) {
  const LetTable lets(let, context.catalog);
  const PipelineReader reader(lets, context);
  reader.check_lets();
  std::vector<PipelineSpec> specs;
  for (const YamlEntry& entry : pipelines.entries) {
    if (entry.key == "sweep" || entry.key == "zip") {
      throw ConfigError(
          entry.key_position,
          fmt::format("{} stands inside a pipeline, not for the pipelines", entry.key));
    }
    for (PipelineSpec& spec : reader.read(entry)) specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace maskerade
