#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// Returns the maskers of the pipeline, let or preset that the value of `use` names. Throws
// ConfigError where it names none.
using MaskersByName = std::function<std::vector<MaskerUse>(const YamlNode& use)>;

// Reads a list of `overrides` whose sweeps are expanded. `maskers_of` looks up what their `use`
// names. Throws ConfigError.
std::vector<RouteRule> read_overrides(const YamlNode& list, const MaskersByName& maskers_of);

// Throws ConfigError where an override of the pipeline that applies to the workload names a query
// head that the workload does not have. Checks nothing while the number of its heads is not known.
void check_heads(const PipelineSpec& pipeline, const WorkloadSpec& workload);

// Throws ConfigError, with the rule's position, where the rule names a head that is not below
// query_heads. `workload` is the workload's name in the message.
void check_heads(const RouteRule& rule, std::int64_t query_heads, const std::string& workload);

}  // namespace maskerade
