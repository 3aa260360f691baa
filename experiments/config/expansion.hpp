#pragma once

#include <string>
#include <vector>

#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// One value that a sweep or a zip gave to a variant.
struct SweptValue {
  std::vector<std::string> path;  // keys from the root of the tree; may be empty
  std::string value;              // as it reads in a label
};

// One point of the product of a tree's sweeps.
struct Variant {
  YamlNode node;
  std::vector<SweptValue> swept = {};  // in the order of the text
};

// The product of all `{sweep: [...]}` and `zip: {a: [...], b: [...]}` in a tree, in the order of
// the text, the first sweep outermost. A tree without any gives itself. A sweep stands for a value
// and may hold others; a zip stands among the entries of a mapping and gives several keys their
// values in step. Throws ConfigError on a sweep of the wrong form, an empty one, a value listed
// twice, zipped lists of different lengths, or a product above 100,000
// variants or two million values.
std::vector<Variant> expand_sweeps(const YamlNode& node);

// Whether node is `{sweep: ...}`.
bool is_sweep(const YamlNode& node) noexcept;

// "topk budget=5%": a name and what distinguishes a variant. A key is shortened to its last segment
// where that is unambiguous, else to its last two.
std::string variant_label(const std::string& name, const std::vector<SweptValue>& swept);

}  // namespace maskerade
