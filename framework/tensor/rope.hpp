#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace maskerade {

// How positions were applied to q and k before attention saw them: rotary position embedding (Su et
// al., "RoFormer", arXiv 2104.09864, section 3.2.2). Pair i of a vector at position p was turned by
// the angle p * frequencies[i], a product in float32, and multiplied by `scale`. The components
// beyond the pairs were left as they are.
struct Rope {
  // Which components are pair i of n: i and i + n, or 2i and 2i + 1.
  enum class Pairs { kHalves, kNeighbours };

  Pairs pairs = Pairs::kHalves;
  std::vector<float> frequencies;  // in radians a position; none: nothing was turned
  float scale = 1;

  // Applies the positions to vectors [positions.size()][dim], one position each; dim is at least
  // twice the number of pairs.
  void turn(std::span<float> vectors,
            std::size_t dim,
            std::span<const std::int64_t> positions) const;
  // Undoes it, up to rounding.
  void turn_back(std::span<float> vectors,
                 std::size_t dim,
                 std::span<const std::int64_t> positions) const;

  friend bool operator==(const Rope&, const Rope&) = default;
};

}  // namespace maskerade
