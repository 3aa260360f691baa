#include "experiments/config/let_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/config/expansion.hpp"
#include "experiments/config/experiment.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kMaxSplicedItems = 10'000;

}  // namespace

LetTable::LetTable(const YamlNode* let, const PresetTable& presets, const Catalog& catalog)
    : let_(let), presets_(presets) {
  if (let_ == nullptr) return;
  if (!let_->is_mapping()) {
    throw ConfigError(let_->position, fmt::format("let is {}; it must be a mapping of named lists: "
                                                  "{{base: [{{sink: 4}}, {{local: 64}}]}}",
                                                  let_->describe()));
  }
  for (const YamlEntry& entry : let_->entries) {
    if (catalog.find(entry.key) != nullptr) {
      throw ConfigError(
          entry.key_position,
          fmt::format("let \"{}\" has the name of a masker; choose another name", entry.key));
    }
    if (entry.key == kDenseName) {
      throw ConfigError(entry.key_position,
                        "let \"dense\" has the name of the dense reference; choose another name");
    }
    if (!entry.value.is_list() && !is_sweep(entry.value)) {
      throw ConfigError(entry.value.position,
                        fmt::format("let \"{}\" is {}; it must be a list of maskers: [{{sink: 4}}]",
                                    entry.key, entry.value.describe()));
    }
  }
}

const std::vector<YamlEntry>& LetTable::entries() const {
  static const std::vector<YamlEntry> kNone;
  return let_ == nullptr ? kNone : let_->entries;
}

std::vector<std::string> LetTable::names() const {
  std::vector<std::string> names;
  for (const YamlEntry& entry : entries()) names.push_back(entry.key);
  for (const Preset& preset : presets_.presets()) names.push_back(preset.name);
  return names;
}

bool LetTable::has_let(const std::string& name) const {
  return let_ != nullptr && let_->find(name) != nullptr;
}

bool LetTable::has(const std::string& name) const {
  return has_let(name) || presets_.find(name) != nullptr;
}

const char* LetTable::describe(const std::string& name) const {
  return has_let(name) ? "a let" : "a preset";
}

const YamlNode& LetTable::list_of(const YamlNode& name) const {
  if (has_let(name.text)) return let_->find(name.text)->value;
  const YamlNode& pipeline = presets_.find(name.text)->pipeline;
  if (pipeline.entries.size() > 1) {
    throw ConfigError(name.position,
                      fmt::format("preset \"{0}\" is more than a list of maskers; write it as a "
                                  "pipeline: {{preset: {0}}}",
                                  name.text));
  }
  return pipeline.find("maskers")->value;
}

YamlNode LetTable::splice(const YamlNode& maskers) const {
  std::vector<std::string> open;
  std::size_t count = 0;
  return splice_item(maskers, open, count);
}

YamlNode LetTable::splice_item(const YamlNode& item,
                               std::vector<std::string>& open,
                               std::size_t& count) const {
  if (++count > kMaxSplicedItems) {
    throw ConfigError(
        item.position,
        fmt::format("the lets expand to more than {} items; shorten them", kMaxSplicedItems));
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

YamlNode LetTable::splice_name(const YamlNode& item,
                               std::vector<std::string>& open,
                               std::size_t& count) const {
  const std::string& name = item.text;
  if (std::find(open.begin(), open.end(), name) != open.end()) {
    throw ConfigError(item.position, fmt::format("let \"{}\" contains itself: {} -> {}", name,
                                                 fmt::join(open, " -> "), name));
  }
  open.push_back(name);
  const YamlNode& value = list_of(item);
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

}  // namespace maskerade
