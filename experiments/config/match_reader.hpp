#pragma once

#include <string>
#include <vector>

#include "experiments/config/expansion.hpp"
#include "experiments/config/experiment.hpp"
#include "experiments/config/yaml_tree.hpp"

namespace maskerade {

// What a `match` section asks for, before it is applied to a pipeline.
struct MatchRequest {
  MatchSpec spec;         // its masker, parameter and name are set by match_of()
  std::string parameter;  // "oracle_topk.budget"; empty: match_of() chooses it for each pipeline
  TextPosition position;  // of `parameter` in the text, or of the section without one
  std::vector<SweptValue> swept = {};  // what this variant of the section chose
};

// Reads a section `match` whose sweeps are expanded. Throws ConfigError.
MatchRequest read_match(const YamlNode& match);
// Reads a section that may hold sweeps: one request for each of its variants. Throws ConfigError.
std::vector<MatchRequest> read_matches(const YamlNode& match);

// Applies a request to a pipeline. If the request names no parameter, the first parameter of a
// masker is searched: of the last masker whose first parameter can be. Throws ConfigError where no
// parameter can be searched, and where the quantity is not defined for the pipeline
// (attention_recall with a sampler).
MatchSpec match_of(const PipelineSpec& pipeline, const MatchRequest& request);

}  // namespace maskerade
