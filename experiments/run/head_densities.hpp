#pragma once

#include <vector>

#include "framework/mask/mask.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

// The density of every (batch, query head), [batch, query_heads]: active / visible entries, or 0
// where nothing is visible. The mask must fit the shape.
std::vector<double> head_densities(const Mask& mask, const AttentionShape& shape);

}  // namespace maskerade
