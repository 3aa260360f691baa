#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace maskerade {

// The name of `known` with the least edit distance to `name`, when it is near enough (at most a
// third of the name's length, at least 1, at most 3 edits) to be what was meant; else "".
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

// "; did you mean \"window\"?" or "; known: sink, local" when nothing is near; "" when known is
// empty.
std::string name_hint(std::string_view name, const std::vector<std::string>& known);

}  // namespace maskerade
