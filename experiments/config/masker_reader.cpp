#include "experiments/config/masker_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/pipeline_reader.hpp"
#include "experiments/config/scalars.hpp"
#include "experiments/match/parameter_range.hpp"

namespace maskerade {
namespace {

const maskerade_parameter* find_parameter(const maskerade_masker_descriptor& masker,
                                          std::string_view name) {
  for (std::size_t i = 0; i < masker.parameter_count; ++i) {
    if (name == masker.parameters[i].name) return &masker.parameters[i];
  }
  return nullptr;
}

// Whether the mapping after a masker's name is `{share: 5%, of: visible}`, the value of its first
// parameter, and not a mapping of parameters that happen to be named `share` and `of`.
bool is_share_of(const YamlNode& value, const maskerade_masker_descriptor& masker) {
  const YamlEntry* of = value.find("of");
  if (value.entries.size() != 2 || of == nullptr || value.find("share") == nullptr) return false;
  if (of->value.text == "visible" || of->value.text == "keys") return true;
  return find_parameter(masker, "share") == nullptr && find_parameter(masker, "of") == nullptr;
}

// Returns `{share: 5%, of: visible}` in the text form of a tokens value: "5% of visible". Of `keys`
// it is "5%". `what` names the parameter in messages.
std::string share_text(const YamlNode& value, const std::string& what) {
  const YamlEntry* share = value.find("share");
  const YamlEntry* of = value.find("of");
  if (value.entries.size() != 2 || share == nullptr || of == nullptr) {
    throw ConfigError(value.position,
                      fmt::format("{} is a mapping; it must be a single value, or for tokens "
                                  "{{share: 5%, of: visible}}",
                                  what));
  }
  const std::string population =
      read_choice(of->value, "population of keys", accepted_choices("of"));
  const std::string text = read_text(share->value, what + " share");
  if (!text.ends_with('%')) {
    throw ConfigError(
        share->value.position,
        fmt::format("{} share is {}; it must be a percentage, such as 5%", what, text));
  }
  return population == "visible" ? text + " of visible" : text;
}

// Whether a masker's first parameter is required, not given, and of a kind that a search can find.
bool lacks_first_parameter(const maskerade_masker_descriptor& masker,
                           const std::vector<GivenParameter>& given) {
  if (masker.parameter_count == 0 || masker.parameters[0].default_value != nullptr ||
      !search_obstacle(masker.parameters[0]).empty()) {
    return false;
  }
  return std::none_of(given.begin(), given.end(), [&](const GivenParameter& parameter) {
    return parameter.name == masker.parameters[0].name;
  });
}

// The least value that a search would give the parameter, as a user would write it.
std::string least_value(const maskerade_parameter& parameter) {
  const ParameterRange range(parameter, {}, 0);
  return range.text(range.steps().first);
}

// Appends the items of a list to `items`, and in place of a nested list its items.
void flatten(const YamlNode& list, std::vector<const YamlNode*>& items) {
  for (const YamlNode& item : list.items) {
    if (item.is_list()) {
      flatten(item, items);
    } else {
      items.push_back(&item);
    }
  }
}

}  // namespace

// The arguments that an experiment gives a masker, and where each stands in the text.
struct MaskerReader::GivenArguments {
  std::vector<GivenParameter> parameters;
  std::map<std::string, TextPosition> positions;  // by the parameter's name
};

std::vector<MaskerUse> MaskerReader::read(const YamlNode& list,
                                          std::vector<OpenParameter>* open) const {
  std::vector<const YamlNode*> items;
  flatten(list, items);
  std::vector<MaskerUse> maskers;
  for (const YamlNode* item : items) {
    const std::size_t before = open == nullptr ? 0 : open->size();
    maskers.push_back(read_item(*item, open));
    if (open != nullptr && open->size() > before) open->back().masker = maskers.size() - 1;
  }
  return maskers;
}

MaskerUse MaskerReader::read_item(const YamlNode& item, std::vector<OpenParameter>* open) const {
  if (item.is_scalar()) return bind(item.text, item.position, nullptr, open);
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
    throw ConfigError(entry.key_position,
                      fmt::format("\"{}\" is {} and takes no value; write its name alone",
                                  entry.key, lets_.describe(entry.key)));
  }
  return bind(entry.key, entry.key_position, &entry.value, open);
}

MaskerUse MaskerReader::bind(const std::string& id,
                             const TextPosition& position,
                             const YamlNode* value,
                             std::vector<OpenParameter>* open) const {
  const std::shared_ptr<const MaskerType> type = context_.catalog.find(id);
  if (type == nullptr) {
    std::vector<std::string> known = context_.catalog.ids();
    const std::vector<std::string> let_names = lets_.names();
    known.insert(known.end(), let_names.begin(), let_names.end());
    throw ConfigError(
        position, fmt::format("unknown masker \"{}\"{}", id, context_.catalog.hint_for(id, known)));
  }
  const maskerade_masker_descriptor& masker = type->descriptor();
  GivenArguments given =
      value == nullptr ? GivenArguments{} : read_arguments(masker, position, *value);
  const auto bound = [&]() -> MaskerUse {
    return {type, std::make_shared<const Arguments>(bind_arguments(masker, given.parameters))};
  };
  try {
    if (open == nullptr || !lacks_first_parameter(masker, given.parameters)) return bound();
    try {
      return bound();
    } catch (const ParameterError& error) {
      given.parameters.push_back(
          {.name = masker.parameters[0].name, .values = {least_value(masker.parameters[0])}});
      MaskerUse use = bound();
      open->push_back({.masker = 0, .position = position, .error = error.what()});
      return use;
    }
  } catch (const ParameterError& error) {
    const auto where = given.positions.find(error.parameter());
    throw ConfigError(where == given.positions.end() ? position : where->second, error.what());
  }
}

MaskerReader::GivenArguments MaskerReader::read_arguments(const maskerade_masker_descriptor& masker,
                                                          const TextPosition& position,
                                                          const YamlNode& value) const {
  if (value.is_empty()) {
    throw ConfigError(position,
                      fmt::format("\"{0}\" has no value; write {0} alone for its defaults, or "
                                  "{{{0}: VALUE}}",
                                  masker.id));
  }
  GivenArguments given;
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

void MaskerReader::add(const maskerade_masker_descriptor& masker,
                       const std::string& name,
                       const TextPosition& position,
                       const YamlNode& value,
                       GivenArguments& given) const {
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
  given.positions[name] = position;
}

// Returns the text of a single value for bind_arguments(): a mapping as a share of tokens, a file
// as an absolute path. `parameter` is nullptr when the masker has none of that name.
std::string MaskerReader::value_text(const YamlNode& value,
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

}  // namespace maskerade
