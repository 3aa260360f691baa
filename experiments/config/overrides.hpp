#pragma once

#include "experiments/config/experiment.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// The tree with one value replaced, or added to a mapping that is there. Segments of the dotted
// path are keys, or numbers of list items from 0; the sections check, measure and seeds are made
// when they are missing. Throws ConfigError whose position is "--set KEY".
YamlNode apply_override(const YamlNode& root, const Override& override);

}  // namespace maskerade
