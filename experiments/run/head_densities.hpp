#pragma once

#include <vector>

#include "framework/mask/mask.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

// Active / visible entries of every (batch, query head): [batch, query_heads]. The mask's extent
// fits the shape.
std::vector<double> head_densities(const Mask& mask, const AttentionShape& shape);

}  // namespace maskerade
