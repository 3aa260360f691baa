#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace maskerade {

// The names that an experiment file may use in one place.
struct AcceptedNames {
  // The mapping whose keys they are ("workload", "source gaussian"), or the key whose choices they
  // are ("dtype").
  std::string place;
  std::vector<std::string> names;
};

// The keys of every mapping with fixed keys. The reader accepts these and no others, and the
// reference (experiments/README.md) has a table for each: a test compares them.
const std::vector<AcceptedNames>& all_accepted_keys();
// The names of every value that is a choice. A key of several kinds of source has an entry for
// each.
const std::vector<AcceptedNames>& all_accepted_choices();

// The names of one place. Throws Error when there is no such place.
const std::vector<std::string>& accepted_keys(std::string_view place);
const std::vector<std::string>& accepted_choices(std::string_view place);

}  // namespace maskerade
