#pragma once

#include <string>
#include <vector>

#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// One value that a variant has because of a sweep or a zip.
struct SweptValue {
  std::vector<std::string> path;  // the keys that lead to the value; empty: it is the whole tree
  std::string value;              // its text in a label
};

// A tree without sweeps: one point of the product of all sweeps of a tree.
struct Variant {
  YamlNode node;
  std::vector<SweptValue> swept = {};  // what this variant chose, in the order of the text
};

// Returns every combination of the values that `{sweep: [...]}` and `zip: {a: [...], b: [...]}`
// list in a tree; a tree without either is its only variant. The first sweep of the text varies
// slowest. A sweep takes the place of one value, and its values may hold further sweeps. A zip is
// an entry of a mapping: variant i gives each of its keys the i-th value of that key's list. Throws
// ConfigError on a malformed or empty sweep, a value listed twice, zipped lists of different
// lengths, more than 100,000 variants or more than two million values in all variants.
std::vector<Variant> expand_sweeps(const YamlNode& node);

// Whether a node has the form `{sweep: ...}`.
bool is_sweep(const YamlNode& node) noexcept;

// "topk budget=5%": a name, followed by what a variant chose. A path is shortened to its last key,
// or to its last two where several paths end in the same key.
std::string variant_label(const std::string& name, const std::vector<SweptValue>& swept);

}  // namespace maskerade
