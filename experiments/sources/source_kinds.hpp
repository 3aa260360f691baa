#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/sources/settings.hpp"
#include "experiments/sources/source.hpp"

namespace maskerade {

// A kind of source of data: one row of the table of kinds. The reader of experiments, its errors,
// the keys that it accepts, the reference (experiments/README.md), the loader and the results all
// read the table, so that a new kind is one file and one row.
struct SourceKind {
  std::string name;    // what `kind:` says
  std::string called;  // in messages: "a gaussian source"
  // What messages say between `called` and a required key that is missing.
  std::string needs = "needs";
  std::string example;           // a whole source: "{kind: gaussian, seed: 1}"
  std::vector<SettingKey> keys;  // all but `kind`
  // The sources that such a mapping stands for, one a file and layer, files outermost. Throws
  // ConfigError where a value stands. Every required key has a value.
  std::vector<NamedSource> (*read)(const Settings& settings);
};

// Every kind, in the order in which messages list them.
const std::vector<SourceKind>& source_kinds();

// The kind of that name, or nullptr.
const SourceKind* find_source_kind(std::string_view name);

// SourceKind::read for a kind that makes one source of its settings, by its constructor.
template <typename Kind>
std::vector<NamedSource> read_one_source(const Settings& settings) {
  return {{.label = "", .source = std::make_shared<const Kind>(settings)}};
}

}  // namespace maskerade
