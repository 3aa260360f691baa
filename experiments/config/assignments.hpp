#pragma once

#include <string>

#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// One `--set KEY=VALUE` of the command line. It changes the text of an experiment; the routes that
// the YAML calls `overrides` are something else (route_reader.hpp).
struct Assignment {
  std::string key;  // a path of keys joined by dots: "measure.budget", "workloads.prefill.key_len"
  std::string value;  // YAML text: "500ms", "{sweep: [1, 2]}"
};

// Returns a copy of the tree of an experiment file in which the value at the assignment's path is
// replaced, or added to a mapping that exists. A part of the path is a key of a mapping or, in a
// list, the number of an item, from 0. The sections check, match, measure and seeds are added when
// they are missing, since each of their values has a default. Throws ConfigError, with "--set KEY"
// in place of a file's name, where the path leads nowhere or the value is not valid YAML.
YamlNode apply_assignment(const YamlNode& root, const Assignment& assignment);

}  // namespace maskerade
