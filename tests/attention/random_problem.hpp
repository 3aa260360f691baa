// The random problems of experiments/rules, in the namespace of those tests that include this.
#pragma once

#include "experiments/rules/random_problem.hpp"
#include "framework/mask/conversions.hpp"

namespace maskerade {

using rules::random_mask;
using rules::RandomMaskOptions;
using rules::RandomProblem;

}  // namespace maskerade
