#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "experiments/config/source_reader.hpp"

namespace maskerade {

// The source that a mapping of an experiment file gives: "{kind: gaussian, seed: 1}". It gives one
// only. Relative files start at `folder`.
inline std::shared_ptr<const Source> source_of(const std::string& mapping,
                                               const std::filesystem::path& folder = "/") {
  const std::vector<NamedSource> sources = read_source(parse_yaml(mapping, "source.yaml"), folder);
  if (sources.size() != 1) throw Error(mapping + " is several sources");
  return sources.front().source;
}

}  // namespace maskerade
