#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace maskerade {

// The known name that `name` was probably meant to be: the one with the smallest edit distance, the
// first of several. "" when none is near: the distance may be a third of the length of `name`, but
// always 1 and never more than 3.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

// The end of an error message about an unknown name: "; did you mean \"window\"?" when a known name
// is near, else the whole list, "; known: sink, local". "" when there are no known names.
std::string name_hint(std::string_view name, const std::vector<std::string>& known);

}  // namespace maskerade
