#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace maskerade {

// The keys that one mapping of an experiment file may have, or the choices that one key may take.
struct AcceptedNames {
  std::string owner;  // the mapping ("workload", "source gaussian") or the key ("dtype")
  std::vector<std::string> names;
};

// The keys of every mapping whose keys are fixed. The reader accepts no others. A test checks that
// experiments/README.md has a table of exactly these keys for each mapping.
const std::vector<AcceptedNames>& all_accepted_keys();
// The choices of every key whose value is one of a few names. The keys of
// sources are for people: the reader takes their choices from the table of sources.
const std::vector<AcceptedNames>& all_accepted_choices();

// The keys of one mapping; the choices of one key. Both throw Error for an owner that has none.
const std::vector<std::string>& accepted_keys(std::string_view mapping);
const std::vector<std::string>& accepted_choices(std::string_view key);

}  // namespace maskerade
