#pragma once

#include <string>
#include <vector>

#include "experiments/config/expansion.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// A `match` section, before it meets a pipeline.
struct MatchRequest {
  MatchSpec spec;         // masker, parameter and name are not known yet
  std::string parameter;  // "oracle_topk.budget"; empty: to be found in each pipeline
  TextPosition position;  // of parameter, or of the section
  std::vector<SweptValue> swept = {};
};

// Reads a section without sweeps. Throws ConfigError.
MatchRequest read_match(const YamlNode& match);
// The variants of a section with sweeps.
std::vector<MatchRequest> read_matches(const YamlNode& match);

// What the request means for a pipeline: without a parameter, the first one of the last masker
// whose first one can be searched. Throws ConfigError where there is none, and where the quantity
// has no meaning for the pipeline.
MatchSpec match_of(const PipelineSpec& pipeline, const MatchRequest& request);

}  // namespace maskerade
