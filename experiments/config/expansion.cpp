#include "experiments/config/expansion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace maskerade {
namespace {

using Path = std::vector<std::string>;

constexpr std::size_t kMaxVariants = 100'000;
constexpr std::size_t kMaxLabelValue = 40;

Path child(const Path& path, const std::string& key) {
  Path longer = path;
  longer.push_back(key);
  return longer;
}

// Multiplies the variants so far by the options of one more value; append adds the value's node.
template <typename Append>
std::vector<Variant> product(const std::vector<Variant>& variants,
                             const std::vector<Variant>& options,
                             const TextPosition& position,
                             const Append& append) {
  if (variants.size() > kMaxVariants / options.size()) {
    throw ConfigError(position,
                      fmt::format("the sweeps up to here multiply to {} variants; the limit is {}",
                                  variants.size() * options.size(), kMaxVariants));
  }
  std::vector<Variant> result;
  result.reserve(variants.size() * options.size());
  for (const Variant& variant : variants) {
    for (const Variant& option : options) {
      Variant combined = variant;
      append(combined.node, option.node);
      combined.swept.insert(combined.swept.end(), option.swept.begin(), option.swept.end());
      result.push_back(std::move(combined));
    }
  }
  return result;
}

std::vector<Variant> expand(const YamlNode& node, const Path& path);

// Notes in `option` that `choice`, the index-th of a sweep, became it. A long value is named by its
// place in the sweep; then, and where a let-name stands for it, the sweeps inside it are named too.
void record_choice(Variant& option, const YamlNode& choice, const Path& path, std::size_t index) {
  if (is_sweep(choice)) return;
  std::string text = option.node.to_text();
  const bool is_let_name = option.node.is_list() && !option.node.text.empty();
  const bool is_long = text.size() > kMaxLabelValue || text.find('\n') != std::string::npos;
  if (is_long) text = fmt::format("#{}", index + 1);
  if (!is_long && !is_let_name) option.swept.clear();
  option.swept.insert(option.swept.begin(), {path, std::move(text)});
}

const YamlNode& require_choices(const YamlEntry& entry, const std::string& what) {
  if (!entry.value.is_list()) {
    throw ConfigError(entry.value.position,
                      fmt::format("{} is {}; it must be a list of values: [1, 2, 4]", what,
                                  entry.value.describe()));
  }
  if (entry.value.items.empty()) {
    throw ConfigError(entry.value.position,
                      fmt::format("{} is an empty list; give it at least one value", what));
  }
  return entry.value;
}

std::vector<Variant> expand_sweep(const YamlNode& node, const Path& path) {
  const YamlEntry& sweep = *node.find("sweep");
  if (node.entries.size() > 1) {
    throw ConfigError(sweep.key_position,
                      "sweep must be alone in its mapping; write KEY: {sweep: [...]}");
  }
  std::vector<Variant> result;
  std::set<std::string> seen;
  const YamlNode& choices = require_choices(sweep, "sweep");
  for (std::size_t i = 0; i < choices.items.size(); ++i) {
    const YamlNode& choice = choices.items[i];
    if (!seen.insert(choice.to_text()).second) {
      throw ConfigError(choice.position, fmt::format("sweep lists {} twice", choice.to_text()));
    }
    for (Variant& option : expand(choice, path)) {
      record_choice(option, choice, path, i);
      result.push_back(std::move(option));
    }
  }
  return result;
}

// Each variant is a mapping of the zipped keys.
std::vector<Variant> expand_zip(const YamlEntry& zip, const Path& path) {
  if (!zip.value.is_mapping() || zip.value.entries.empty()) {
    throw ConfigError(
        zip.value.position,
        fmt::format("zip is {}; it must be a mapping of lists: {{a: [1, 2], b: [3, 4]}}",
                    zip.value.is_mapping() ? "an empty mapping" : zip.value.describe()));
  }
  const YamlEntry& first = zip.value.entries.front();
  const std::size_t length = require_choices(first, fmt::format("zip.{}", first.key)).items.size();
  for (const YamlEntry& entry : zip.value.entries) {
    const std::size_t other = require_choices(entry, fmt::format("zip.{}", entry.key)).items.size();
    if (other != length) {
      throw ConfigError(
          entry.key_position,
          fmt::format("zip pairs lists of equal length; \"{}\" has {} values, \"{}\" {}", first.key,
                      length, entry.key, other));
    }
  }
  std::vector<Variant> result;
  for (std::size_t i = 0; i < length; ++i) {
    std::vector<Variant> step{
        {.node = {.kind = YamlNode::Kind::kMapping, .position = zip.value.position}}};
    for (const YamlEntry& entry : zip.value.entries) {
      const YamlNode& value = entry.value.items[i];
      std::vector<Variant> options = expand(value, child(path, entry.key));
      for (Variant& option : options) record_choice(option, value, child(path, entry.key), i);
      step = product(step, options, value.position, [&](YamlNode& mapping, const YamlNode& chosen) {
        mapping.entries.push_back({entry.key, entry.key_position, chosen});
      });
    }
    result.insert(result.end(), std::make_move_iterator(step.begin()),
                  std::make_move_iterator(step.end()));
  }
  return result;
}

std::vector<Variant> expand_mapping(const YamlNode& node, const Path& path) {
  YamlNode empty = node;
  empty.entries.clear();
  std::vector<Variant> variants{{.node = std::move(empty)}};
  for (const YamlEntry& entry : node.entries) {
    if (entry.key == "zip") {
      const std::vector<Variant> options = expand_zip(entry, path);
      for (const YamlEntry& zipped : options.front().node.entries) {
        if (const YamlEntry* other = node.find(zipped.key)) {
          throw ConfigError(zipped.key_position,
                            fmt::format("zip sets \"{}\", which line {} sets too", zipped.key,
                                        other->key_position.line));
        }
      }
      variants = product(variants, options, entry.key_position,
                         [](YamlNode& mapping, const YamlNode& zipped) {
                           mapping.entries.insert(mapping.entries.end(), zipped.entries.begin(),
                                                  zipped.entries.end());
                         });
    } else {
      variants = product(variants, expand(entry.value, child(path, entry.key)), entry.key_position,
                         [&](YamlNode& mapping, const YamlNode& value) {
                           mapping.entries.push_back({entry.key, entry.key_position, value});
                         });
    }
  }
  return variants;
}

std::vector<Variant> expand(const YamlNode& node, const Path& path) {
  if (node.is_list()) {
    YamlNode empty = node;
    empty.items.clear();
    std::vector<Variant> variants{{.node = std::move(empty)}};
    for (const YamlNode& item : node.items) {
      variants =
          product(variants, expand(item, path), item.position,
                  [](YamlNode& list, const YamlNode& value) { list.items.push_back(value); });
    }
    return variants;
  }
  if (node.is_mapping()) {
    return node.find("sweep") != nullptr ? expand_sweep(node, path) : expand_mapping(node, path);
  }
  return {{.node = node}};
}

// The last `segments` of a path, joined by dots.
std::string path_tail(const Path& path, std::size_t segments) {
  const std::size_t begin = path.size() - std::min(segments, path.size());
  return fmt::format("{}",
                     fmt::join(path.begin() + static_cast<std::ptrdiff_t>(begin), path.end(), "."));
}

}  // namespace

std::vector<Variant> expand_sweeps(const YamlNode& node) { return expand(node, {}); }

bool is_sweep(const YamlNode& node) noexcept {
  return node.is_mapping() && node.entries.size() == 1 && node.entries.front().key == "sweep";
}

std::string variant_label(const std::string& name, const std::vector<SweptValue>& swept) {
  std::string label = name;
  for (const SweptValue& value : swept) {
    const std::string last = path_tail(value.path, 1);
    const auto same_key = std::count_if(swept.begin(), swept.end(), [&](const SweptValue& other) {
      return path_tail(other.path, 1) == last;
    });
    const std::string key = same_key > 1 ? path_tail(value.path, 2) : last;
    label += " " + (key.empty() ? value.value : key + "=" + value.value);
  }
  return label;
}

}  // namespace maskerade
