#include "experiments/config/pipeline_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/expansion.hpp"
#include "experiments/config/scalars.hpp"
#include "framework/base/nearest_name.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kMaxSplicedItems = 10'000;

// The named lists of a file, and their splicing into pipelines.
class LetTable {
 public:
  LetTable(const YamlNode* let, const Catalog& catalog) : let_(let) {
    if (let_ == nullptr) return;
    if (!let_->is_mapping()) {
      throw ConfigError(let_->position,
                        fmt::format("let is {}; it must be a mapping of named lists: "
                                    "{{base: [{{sink: 4}}, {{local: 64}}]}}",
                                    let_->describe()));
    }
    for (const YamlEntry& entry : let_->entries) {
      if (catalog.find(entry.key) != nullptr) {
        throw ConfigError(
            entry.key_position,
            fmt::format("let \"{}\" has the name of a masker; choose another name", entry.key));
      }
      if (!entry.value.is_list() && !is_sweep(entry.value)) {
        throw ConfigError(
            entry.value.position,
            fmt::format("let \"{}\" is {}; it must be a list of maskers: [{{sink: 4}}]", entry.key,
                        entry.value.describe()));
      }
    }
  }

  const std::vector<YamlEntry>& entries() const {
    static const std::vector<YamlEntry> kNone;
    return let_ == nullptr ? kNone : let_->entries;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const YamlEntry& entry : entries()) names.push_back(entry.key);
    return names;
  }

  bool has(const std::string& name) const { return let_ != nullptr && let_->find(name) != nullptr; }

  // The pipeline with a list in place of every let-name.
  YamlNode splice(const YamlNode& pipeline) const {
    std::vector<std::string> open;
    std::size_t count = 0;
    return splice_item(pipeline, open, count);
  }

 private:
  YamlNode splice_item(const YamlNode& item,
                       std::vector<std::string>& open,
                       std::size_t& count) const {
    if (++count > kMaxSplicedItems) {
      throw ConfigError(item.position,
                        fmt::format("the lets expand to more than {} items", kMaxSplicedItems));
    }
    if (item.is_scalar() && has(item.text)) return splice_name(item, open, count);
    YamlNode spliced = item;
    if (item.is_list()) {
      for (YamlNode& inner : spliced.items) inner = splice_item(inner, open, count);
    } else if (is_sweep(item)) {
      YamlNode& choices = spliced.entries.front().value;
      for (YamlNode& choice : choices.items) choice = splice_item(choice, open, count);
    }
    return spliced;
  }

  YamlNode splice_name(const YamlNode& item,
                       std::vector<std::string>& open,
                       std::size_t& count) const {
    const std::string& name = item.text;
    if (std::find(open.begin(), open.end(), name) != open.end()) {
      throw ConfigError(item.position, fmt::format("let \"{}\" contains itself: {} -> {}", name,
                                                   fmt::join(open, " -> "), name));
    }
    open.push_back(name);
    const YamlNode& value = let_->find(name)->value;
    YamlNode list{.kind = YamlNode::Kind::kList, .position = item.position, .text = name};
    if (value.is_list()) {
      for (const YamlNode& inner : value.items) {
        list.items.push_back(splice_item(inner, open, count));
      }
    } else {
      list.items.push_back(splice_item(value, open, count));
    }
    open.pop_back();
    return list;
  }

  const YamlNode* let_;
};

const maskerade_parameter* find_parameter(const maskerade_masker_descriptor& masker,
                                          std::string_view name) {
  for (std::size_t i = 0; i < masker.parameter_count; ++i) {
    if (name == masker.parameters[i].name) return &masker.parameters[i];
  }
  return nullptr;
}

// Reads one item of a pipeline: a masker and its arguments.
class MaskerReader {
 public:
  MaskerReader(const LetTable& lets, const PipelineContext& context)
      : lets_(lets), context_(context) {}

  MaskerUse read(const YamlNode& item) const {
    if (item.is_scalar()) return bind(item.text, item.position, nullptr);
    if (!item.is_mapping() || item.entries.size() != 1) {
      throw ConfigError(
          item.position,
          fmt::format("an item of a pipeline is {}; it must be a masker's name, or "
                      "one masker with its value: {{sink: 4}}",
                      item.is_mapping() ? fmt::format("a mapping of {} keys", item.entries.size())
                                        : item.describe()));
    }
    const YamlEntry& entry = item.entries.front();
    if (lets_.has(entry.key)) {
      throw ConfigError(
          entry.key_position,
          fmt::format("\"{}\" is a let and takes no value; write its name alone", entry.key));
    }
    return bind(entry.key, entry.key_position, &entry.value);
  }

 private:
  // A parameter as given, and where.
  struct Given {
    std::vector<GivenParameter> parameters;
    std::vector<std::pair<std::string, TextPosition>> positions;  // by name
  };

  MaskerUse bind(const std::string& id, const TextPosition& position, const YamlNode* value) const {
    const std::shared_ptr<const MaskerType> type = context_.catalog.find(id);
    if (type == nullptr) {
      std::vector<std::string> known = context_.catalog.ids();
      const std::vector<std::string> let_names = lets_.names();
      known.insert(known.end(), let_names.begin(), let_names.end());
      throw ConfigError(position, fmt::format("unknown masker \"{}\"{}", id, name_hint(id, known)));
    }
    const maskerade_masker_descriptor& masker = type->descriptor();
    const Given given = value == nullptr ? Given{} : read_given(masker, position, *value);
    try {
      return {type, std::make_shared<const Arguments>(bind_arguments(masker, given.parameters))};
    } catch (const ParameterError& error) {
      TextPosition at = position;
      for (const auto& [name, where] : given.positions) {
        if (name == error.parameter()) at = where;
      }
      throw ConfigError(at, error.what());
    }
  }

  Given read_given(const maskerade_masker_descriptor& masker,
                   const TextPosition& position,
                   const YamlNode& value) const {
    if (value.is_empty()) {
      throw ConfigError(position,
                        fmt::format("\"{0}\" has no value; write {0} alone for its defaults, or "
                                    "{{{0}: VALUE}}",
                                    masker.id));
    }
    Given given;
    if (!value.is_mapping() || is_share_of(value, masker)) {
      const std::string name = masker.parameter_count > 0 ? masker.parameters[0].name : "";
      add(masker, name, value.position, value, given);
      return given;
    }
    for (const YamlEntry& entry : value.entries) {
      const bool is_known = find_parameter(masker, entry.key) != nullptr;
      add(masker, entry.key, is_known ? entry.value.position : entry.key_position, entry.value,
          given);
    }
    return given;
  }

  // Whether a masker's value is `{share: 5%, of: visible}` and not its parameters of those names.
  static bool is_share_of(const YamlNode& value, const maskerade_masker_descriptor& masker) {
    const YamlEntry* of = value.find("of");
    if (value.entries.size() != 2 || of == nullptr || value.find("share") == nullptr) return false;
    if (of->value.text == "visible" || of->value.text == "keys") return true;
    return find_parameter(masker, "share") == nullptr && find_parameter(masker, "of") == nullptr;
  }

  void add(const maskerade_masker_descriptor& masker,
           const std::string& name,
           const TextPosition& position,
           const YamlNode& value,
           Given& given) const {
    const maskerade_parameter* parameter = find_parameter(masker, name);
    const std::string what = fmt::format("{}.{}", masker.id, name);
    GivenParameter result{.name = name, .values = {}, .is_list = value.is_list()};
    if (value.is_list()) {
      for (const YamlNode& item : value.items) {
        result.values.push_back(value_text(item, what, parameter));
      }
    } else {
      result.values.push_back(value_text(value, what, parameter));
    }
    given.parameters.push_back(std::move(result));
    given.positions.emplace_back(name, position);
  }

  // A single value in the grammar of its unit.
  std::string value_text(const YamlNode& value,
                         const std::string& what,
                         const maskerade_parameter* parameter) const {
    if (value.is_mapping()) return share_text(value, what);
    if (!value.is_scalar()) {
      throw ConfigError(value.position,
                        fmt::format("{} is {}; it must be a single value", what, value.describe()));
    }
    if (value.quoted && is_number(value.text) && parameter != nullptr &&
        parameter->unit != MASKERADE_UNIT_CHOICE && parameter->unit != MASKERADE_UNIT_FILE) {
      throw ConfigError(value.position,
                        fmt::format("{} is {}; a number is written without quotes: {}", what,
                                    value.describe(), value.text));
    }
    if (parameter != nullptr && parameter->unit == MASKERADE_UNIT_FILE && !value.text.empty()) {
      return (context_.folder / value.text).lexically_normal().string();
    }
    return value.text;
  }

  // `{share: 5%, of: visible}` as a tokens value.
  static std::string share_text(const YamlNode& value, const std::string& what) {
    const YamlEntry* share = value.find("share");
    const YamlEntry* of = value.find("of");
    if (value.entries.size() != 2 || share == nullptr || of == nullptr) {
      throw ConfigError(value.position,
                        fmt::format("{} is a mapping; it must be a single value, or for tokens "
                                    "{{share: 5%, of: visible}}",
                                    what));
    }
    const std::string population = read_choice(of->value, "of", accepted_choices("of"));
    const std::string text = read_text(share->value, what + " share");
    if (!text.ends_with('%')) {
      throw ConfigError(
          share->value.position,
          fmt::format("{} share is {}; it must be a percentage, such as 5%", what, text));
    }
    return population == "visible" ? text + " of visible" : text;
  }

  const LetTable& lets_;
  const PipelineContext& context_;
};

// The items of nested lists, in order.
void flatten(const YamlNode& list, std::vector<const YamlNode*>& items) {
  for (const YamlNode& item : list.items) {
    if (item.is_list()) {
      flatten(item, items);
    } else {
      items.push_back(&item);
    }
  }
}

std::vector<MaskerUse> read_maskers(const YamlNode& list, const MaskerReader& reader) {
  std::vector<const YamlNode*> items;
  flatten(list, items);
  std::vector<MaskerUse> maskers;
  for (const YamlNode* item : items) maskers.push_back(reader.read(*item));
  return maskers;
}

std::vector<PipelineSpec> read_pipeline(const YamlEntry& entry,
                                        const LetTable& lets,
                                        const MaskerReader& reader) {
  std::vector<PipelineSpec> specs;
  for (const Variant& variant : expand_sweeps(lets.splice(entry.value))) {
    if (!variant.node.is_list()) {
      throw ConfigError(variant.node.position,
                        fmt::format("pipeline \"{}\" is {}; it must be a list of maskers: "
                                    "[{{sink: 4}}, {{local: 64}}]",
                                    entry.key, variant.node.describe()));
    }
    PipelineSpec spec{.name = entry.key,
                      .label = variant_label(entry.key, variant.swept),
                      .position = entry.key_position,
                      .maskers = read_maskers(variant.node, reader)};
    try {
      const Pipeline check_of_order(spec.maskers);
    } catch (const Error& error) {
      throw ConfigError(entry.key_position,
                        fmt::format("pipeline \"{}\": {}", entry.key, error.what()));
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace

std::vector<PipelineSpec> read_pipelines(const YamlNode& pipelines,
                                         const YamlNode* let,
                                         const PipelineContext& context) {
  const LetTable lets(let, context.catalog);
  const MaskerReader reader(lets, context);
  for (const YamlEntry& entry : lets.entries()) {
    YamlNode name{
        .kind = YamlNode::Kind::kScalar, .position = entry.key_position, .text = entry.key};
    for (const Variant& variant : expand_sweeps(lets.splice(name))) {
      read_maskers(variant.node, reader);
    }
  }
  std::vector<PipelineSpec> specs;
  for (const YamlEntry& entry : pipelines.entries) {
    if (entry.key == "sweep" || entry.key == "zip") {
      throw ConfigError(
          entry.key_position,
          fmt::format("{} stands inside a pipeline, not for the pipelines", entry.key));
    }
    for (PipelineSpec& spec : read_pipeline(entry, lets, reader)) specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace maskerade
