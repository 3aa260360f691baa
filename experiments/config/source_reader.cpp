#include "experiments/config/source_reader.hpp"

#include <fmt/format.h>

#include <limits>
#include <string>
#include <vector>

#include "experiments/config/accepted_keys.hpp"
#include "experiments/config/scalars.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// A number in (0, maximum].
double read_number(const YamlNode& node, const std::string& key, double maximum) {
  const double value = read_positive(node, key);
  if (value <= maximum) return value;
  throw ConfigError(node.position,
                    fmt::format("{} is {}; it must be at most {}", key, node.describe(), maximum));
}

// Reads a share. Unlike read_share() it accepts 0.
double read_share_or_zero(const YamlNode& node, const std::string& key) {
  const bool is_zero = node.is_scalar() && !node.quoted && (node.text == "0" || node.text == "0%");
  return is_zero ? 0 : read_share(node, key);
}

SettingValue read_value(const YamlNode& node, const SettingKey& key) {
  switch (key.form.kind) {
    case SettingForm::Kind::kSeed:
      return read_seed(node, key.name);
    case SettingForm::Kind::kWholeNumber:
      return read_whole(node, key.name, key.form.minimum, std::numeric_limits<std::int32_t>::max());
    case SettingForm::Kind::kNumber:
      return read_number(node, key.name, key.form.maximum);
    case SettingForm::Kind::kShare:
      return read_share_or_zero(node, key.name);
    case SettingForm::Kind::kText:
    case SettingForm::Kind::kPath:
      return read_text(node, key.name);
    case SettingForm::Kind::kChoice:
      return read_choice(node, key.name, key.form.choices);
    case SettingForm::Kind::kLayers: {
      const auto listed = read_numbers_or_all(node, key.name);
      return LayerChoice{.is_all = !listed, .listed = listed.value_or(std::vector<std::int64_t>{})};
    }
  }
  throw Error("the key " + key.name + " of a source has no form");
}

Settings read_settings(const YamlNode& node,
                       const SourceKind& kind,
                       const std::filesystem::path& folder) {
  Settings settings(node.position, folder);
  for (const SettingKey& key : kind.keys) {
    if (const YamlEntry* entry = node.find(key.name)) {
      settings.add(key.name, read_value(entry->value, key), entry->value.position, false);
    } else if (!key.default_text.empty()) {
      const YamlNode text{
          .kind = YamlNode::Kind::kScalar, .position = node.position, .text = key.default_text};
      settings.add(key.name, read_value(text, key), node.position, true);
    } else if (key.is_required()) {
      throw ConfigError(node.position, fmt::format("{} {} {}: {}", kind.called, kind.needs,
                                                   key.name, kind.example));
    }
  }
  return settings;
}

// `source: ...` of the first kind, for messages.
std::string example() { return "source: " + source_kinds().front().example; }

}  // namespace

std::vector<NamedSource> read_source(const YamlNode& source, const std::filesystem::path& folder) {
  if (!source.is_mapping()) {
    throw ConfigError(source.position, fmt::format("source is {}; it must be a mapping: {}",
                                                   source.describe(), example()));
  }
  const YamlEntry* entry = source.find("kind");
  if (entry == nullptr) {
    throw ConfigError(source.position, fmt::format("source has no kind; write {}", example()));
  }
  const std::string name = read_choice(entry->value, "kind", accepted_choices("kind"));
  const SourceKind& kind = *find_source_kind(name);
  std::vector<std::string> keys = accepted_keys("source");
  for (const std::string& key : accepted_keys("source " + name)) keys.push_back(key);
  require_keys(source, kind.called, keys);
  return kind.read(read_settings(source, kind, folder));
}

std::vector<NamedSource> read_source_of(const YamlNode& workload,
                                        const std::string& name,
                                        const TextPosition& position,
                                        const std::filesystem::path& folder) {
  const YamlEntry* entry = workload.find("source");
  if (entry == nullptr) {
    throw ConfigError(position,
                      fmt::format("workload \"{}\" has no source; add {}", name, example()));
  }
  return read_source(entry->value, folder);
}

}  // namespace maskerade
