#include "experiments/config/expansion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

namespace maskerade {
namespace {

using Path = std::vector<std::string>;

constexpr std::size_t kMaxVariants = 100'000;
constexpr std::size_t kMaxVariantValues = 2'000'000;
constexpr std::size_t kMaxLabelValue = 40;

Path child(const Path& path, const std::string& key) {
  Path longer = path;
  longer.push_back(key);
  return longer;
}

std::size_t count_values(const YamlNode& node) {
  std::size_t count = 1;
  for (const YamlNode& item : node.items) count += count_values(item);
  for (const YamlEntry& entry : node.entries) count += count_values(entry.value);
  return count;
}

void check_variants(std::size_t count, const TextPosition& position) {
  if (count > kMaxVariants) {
    throw ConfigError(position,
                      fmt::format("the sweeps up to here multiply to {} variants; the limit is {}, "
                                  "so sweep fewer values",
                                  count, kMaxVariants));
  }
}

// Builds the variants of a list or a mapping: starts with the empty one, then multiplies by the
// options of one contained value after the other.
class Product {
 public:
  // empty: the list or mapping without its values.
  explicit Product(YamlNode empty) : variants_{{.node = std::move(empty)}} {}

  // Replaces every variant by one copy for each option. append(variant node, option node) puts the
  // option into the copy. Throws ConfigError when the variants get too many or too large.
  template <typename Append>
  void multiply(const std::vector<Variant>& options,
                const TextPosition& position,
                const Append& append) {
    count(options, position);
    const auto combine = [&](Variant& variant, const Variant& option) {
      append(variant.node, option.node);
      variant.swept.insert(variant.swept.end(), option.swept.begin(), option.swept.end());
    };
    if (options.size() == 1) {
      for (Variant& variant : variants_) combine(variant, options.front());
      return;
    }
    std::vector<Variant> result;
    result.reserve(variants_.size() * options.size());
    for (const Variant& variant : variants_) {
      for (const Variant& option : options) combine(result.emplace_back(variant), option);
    }
    variants_ = std::move(result);
  }

  std::vector<Variant> take() { return std::move(variants_); }

 private:
  void count(const std::vector<Variant>& options, const TextPosition& position) {
    check_variants(variants_.size() * options.size(), position);
    values_ *= options.size();
    for (const Variant& option : options) values_ += count_values(option.node) * variants_.size();
    if (variants_.size() * options.size() > 1 && values_ > kMaxVariantValues) {
      throw ConfigError(
          position, fmt::format("the variants of the sweeps up to here hold {} values; the limit "
                                "is {}, so sweep less, or split the experiment",
                                values_, kMaxVariantValues));
    }
  }

  std::vector<Variant> variants_;
  std::size_t values_ = 1;  // the number of values in all variants together
};

std::vector<Variant> expand(const YamlNode& node, const Path& path);

// Records in `option` that the value at `path` is `choice`, the value number `index` of a sweep.
// The label shows the value itself, or its number ("#2") where its text is long. What was swept
// inside the value is recorded too where the label does not show it: for long values and for
// let-names.
void record_choice(Variant& option, const YamlNode& choice, const Path& path, std::size_t index) {
  if (is_sweep(choice)) return;
  std::string text = option.node.to_text();
  const bool is_let_name = option.node.is_list() && !option.node.text.empty();
  const bool is_long = text.size() > kMaxLabelValue;
  if (is_long) text = fmt::format("#{}", index + 1);
  if (!is_long && !is_let_name) option.swept.clear();
  option.swept.insert(option.swept.begin(), {path, std::move(text)});
}

const YamlNode& require_choices(const YamlEntry& entry, std::string_view what) {
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
    check_variants(result.size(), choice.position);
  }
  return result;
}

// Returns one variant for each position of the zipped lists: a mapping of the zipped keys to their
// values. Values may hold sweeps, which multiply it.
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
    Product step({.kind = YamlNode::Kind::kMapping, .position = zip.value.position});
    for (const YamlEntry& entry : zip.value.entries) {
      const YamlNode& value = entry.value.items[i];
      std::vector<Variant> options = expand(value, child(path, entry.key));
      for (Variant& option : options) record_choice(option, value, child(path, entry.key), i);
      step.multiply(options, value.position, [&](YamlNode& mapping, const YamlNode& chosen) {
        mapping.entries.push_back({entry.key, entry.key_position, chosen});
      });
    }
    for (Variant& variant : step.take()) result.push_back(std::move(variant));
    check_variants(result.size(), zip.value.position);
  }
  return result;
}

std::vector<Variant> expand_mapping(const YamlNode& node, const Path& path) {
  YamlNode empty = node;
  empty.entries.clear();
  Product product(std::move(empty));
  for (const YamlEntry& entry : node.entries) {
    if (entry.key == "zip") {
      const std::vector<Variant> options = expand_zip(entry, path);
      for (const YamlEntry& zipped : options.front().node.entries) {
        if (const YamlEntry* other = node.find(zipped.key)) {
          throw ConfigError(zipped.key_position,
                            fmt::format("zip sets \"{}\", which line {} sets too; keep one of them",
                                        zipped.key, other->key_position.line));
        }
      }
      product.multiply(options, entry.key_position, [](YamlNode& mapping, const YamlNode& zipped) {
        mapping.entries.insert(mapping.entries.end(), zipped.entries.begin(), zipped.entries.end());
      });
    } else {
      product.multiply(expand(entry.value, child(path, entry.key)), entry.key_position,
                       [&](YamlNode& mapping, const YamlNode& value) {
                         mapping.entries.push_back({entry.key, entry.key_position, value});
                       });
    }
  }
  return product.take();
}

std::vector<Variant> expand(const YamlNode& node, const Path& path) {
  if (node.is_list()) {
    YamlNode empty = node;
    empty.items.clear();
    Product product(std::move(empty));
    for (const YamlNode& item : node.items) {
      product.multiply(expand(item, path), item.position,
                       [](YamlNode& list, const YamlNode& value) { list.items.push_back(value); });
    }
    return product.take();
  }
  if (node.is_mapping()) {
    return node.find("sweep") != nullptr ? expand_sweep(node, path) : expand_mapping(node, path);
  }
  return {{.node = node}};
}

// The last `segments` keys of a path, joined by dots.
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
