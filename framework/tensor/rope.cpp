#include "framework/tensor/rope.hpp"

#include <cmath>

namespace maskerade {
namespace {

// Turns each pair by direction * its angle, and multiplies it by `factor`.
void turn_pairs(const Rope& rope,
                float direction,
                float factor,
                std::span<float> vectors,
                std::size_t dim,
                std::span<const std::int64_t> positions) {
  const std::size_t pairs = rope.frequencies.size();
  const bool are_halves = rope.pairs == Rope::Pairs::kHalves;
  for (std::size_t v = 0; v < positions.size(); ++v) {
    float* const vector = vectors.data() + v * dim;
    for (std::size_t i = 0; i < pairs; ++i) {
      const float angle = static_cast<float>(positions[v]) * rope.frequencies[i];
      const float cosine = std::cos(angle) * factor;
      const float sine = direction * std::sin(angle) * factor;
      float& first = vector[are_halves ? i : 2 * i];
      float& second = vector[are_halves ? i + pairs : 2 * i + 1];
      const float turned = first * cosine - second * sine;
      second = second * cosine + first * sine;
      first = turned;
    }
  }
}

}  // namespace

void Rope::turn(std::span<float> vectors,
                std::size_t dim,
                std::span<const std::int64_t> positions) const {
  turn_pairs(*this, 1, scale, vectors, dim, positions);
}

void Rope::turn_back(std::span<float> vectors,
                     std::size_t dim,
                     std::span<const std::int64_t> positions) const {
  turn_pairs(*this, -1, 1 / scale, vectors, dim, positions);
}

}  // namespace maskerade
