#include "experiments/config/assignments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <sstream>
#include <string_view>

#include "framework/base/control_characters.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// The sections in which every value has a default, so that an assignment may add a section.
constexpr std::array<std::string_view, 4> kOptionalSections = {"check", "match", "measure",
                                                               "seeds"};

std::vector<std::string> split_path(const std::string& key, const TextPosition& position) {
  std::vector<std::string> segments;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = std::min(key.find('.', begin), key.size());
    segments.push_back(key.substr(begin, end - begin));
    if (segments.back().empty()) {
      throw ConfigError(
          position,
          "the path has an empty part; write keys joined by dots, such as measure.budget");
    }
    if (end == key.size()) return segments;
    begin = end + 1;
  }
}

std::optional<std::size_t> parse_index(const std::string& text) {
  std::size_t index = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), index);
  if (result.ec != std::errc{} || result.ptr != text.data() + text.size()) return std::nullopt;
  return index;
}

std::vector<std::string> keys_of(const YamlNode& mapping) {
  std::vector<std::string> keys;
  for (const YamlEntry& entry : mapping.entries) keys.push_back(entry.key);
  return keys;
}

// Writes one value into a tree, at the path that `segments` spells.
class SettingWriter {
 public:
  SettingWriter(std::vector<std::string> segments, YamlNode value, TextPosition position)
      : segments_(std::move(segments)), value_(std::move(value)), position_(std::move(position)) {}

  // Writes the value below `node`, to which the first `depth` segments have led. Throws ConfigError
  // where the next segment leads nowhere.
  void write(YamlNode& node, std::size_t depth) const {
    const std::string& segment = segments_[depth];
    if (node.is_list()) {
      const auto index = parse_index(segment);
      if (node.items.empty()) {
        throw ConfigError(position_, fmt::format("the list {} is empty; replace it as a whole",
                                                 parent_name(depth)));
      }
      if (!index || *index >= node.items.size()) {
        throw ConfigError(position_,
                          fmt::format("\"{}\" names no item of the list {}; its items are 0 to {}",
                                      segment, parent_name(depth), node.items.size() - 1));
      }
      write_child(node.items[*index], depth);
      return;
    }
    if (!node.is_mapping()) {
      throw ConfigError(position_, fmt::format("{} is {}, which has no \"{}\"", parent_name(depth),
                                               node.describe(), segment));
    }
    for (YamlEntry& entry : node.entries) {
      if (entry.key == segment) {
        write_child(entry.value, depth);
        return;
      }
    }
    const bool is_leaf = depth + 1 == segments_.size();
    const bool is_optional_section =
        depth == 0 && std::find(kOptionalSections.begin(), kOptionalSections.end(), segment) !=
                          kOptionalSections.end();
    if (!is_leaf && !is_optional_section) {
      throw ConfigError(position_,
                        fmt::format("there is no \"{}\" in {}{}", segment, parent_name(depth),
                                    name_hint(segment, keys_of(node))));
    }
    YamlNode child;
    if (!is_leaf) child.kind = YamlNode::Kind::kMapping;
    child.position = position_;
    node.entries.push_back({segment, position_, std::move(child)});
    write_child(node.entries.back().value, depth);
  }

 private:
  void write_child(YamlNode& child, std::size_t depth) const {
    if (depth + 1 == segments_.size()) {
      child = value_;
    } else {
      write(child, depth + 1);
    }
  }

  // Names in messages what the first `depth` segments lead to.
  std::string parent_name(std::size_t depth) const {
    if (depth == 0) return "the experiment file";
    return fmt::format(
        "\"{}\"",
        fmt::join(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(depth), "."));
  }

  std::vector<std::string> segments_;
  YamlNode value_;
  TextPosition position_;
};

}  // namespace

YamlNode apply_assignment(const YamlNode& root, const Assignment& assignment) {
  const TextPosition position{"--set " + assignment.key, 0, 0};
  refuse_control_characters(assignment.key, {"--set", 0, 0});
  if (first_invalid_byte(assignment.key) < assignment.key.size()) {
    throw ConfigError(
        {"--set", 0, 0},
        fmt::format("the key {} is not UTF-8 text; write it as UTF-8", printable(assignment.key)));
  }
  std::vector<std::string> segments = split_path(assignment.key, position);
  YamlNode value = parse_yaml(assignment.value, position.file);
  if (!value.is_list() && !value.is_mapping()) value.position = position;
  YamlNode changed = root;
  SettingWriter(std::move(segments), std::move(value), position).write(changed, 0);
  return changed;
}

}  // namespace maskerade
