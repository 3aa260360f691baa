#pragma once

#include <span>

namespace maskerade {

// weights[j] = exp(scale * (scores[j] - top)) in float64, relative error below 1e-15 near 0 and
// growing with the exponent; 0 for a score of -infinity. top is finite; weights.size() ==
// scores.size(). What is made of them is promised equal only on one kind of machine.
void exponentials(std::span<const float> scores,
                  double scale,
                  float top,
                  std::span<double> weights);

}  // namespace maskerade
