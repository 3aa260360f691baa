#pragma once

#include <span>

namespace maskerade {

// Sets weights[j] to exp(scale * (scores[j] - top)), computed in float64; a score of -infinity
// gives 0. Requires a finite top and as many weights as scores. The relative error is below 1e-15
// near 0 and grows with the exponent; it may differ from one instruction set to another.
void exponentials(std::span<const float> scores,
                  double scale,
                  float top,
                  std::span<double> weights);

}  // namespace maskerade
