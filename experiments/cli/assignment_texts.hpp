#pragma once

#include <string>
#include <vector>

#include "experiments/config/assignments.hpp"

namespace maskerade {

// The assignments of --set, each KEY=VALUE. Throws ConfigError where one has another form.
std::vector<Assignment> assignments_of(const std::vector<std::string>& texts);

}  // namespace maskerade
