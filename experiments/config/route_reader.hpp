#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// The maskers that the name in `use` stands for; throws ConfigError where it stands for none.
using NamedMaskers = std::function<std::vector<MaskerUse>(const YamlNode& use)>;

// Reads a list of `overrides` without sweeps. Throws ConfigError.
std::vector<RouteRule> read_overrides(const YamlNode& list, const NamedMaskers& named);

// Throws ConfigError where a rule names a query head that a workload is known not to have.
void check_heads(const PipelineSpec& pipeline, const WorkloadSpec& workload);

// Throws ConfigError, at the rule, where it names a head that is not among query_heads.
void check_heads(const RouteRule& rule, std::int64_t query_heads, const std::string& workload);

}  // namespace maskerade
