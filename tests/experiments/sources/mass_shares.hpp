#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade {

// Where the softmax mass of structured data lies, in float64 on q and k as they are stored: means
// over all rows that see at least `least` keys.
struct MassShares {
  double sink = 0;    // on the first `sinks` keys
  double near = 0;    // on other keys less than `window` tokens away
  double hitter = 0;  // on other keys that are long in the second slowest pair
  std::int64_t rows = 0;
};

inline MassShares mass_shares(const AttentionInputs& inputs,
                              std::int64_t sinks,
                              std::int64_t window,
                              std::int64_t least) {
  const AttentionShape& shape = inputs.shape;
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  const std::size_t x = dim / 2 - 2;  // of the second slowest pair
  const std::size_t y = dim - 2;
  MassShares shares;
  std::vector<float> q(dim);
  std::vector<std::vector<float>> k(static_cast<std::size_t>(shape.key_len),
                                    std::vector<float>(dim));
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.query_heads; ++h) {
      for (std::size_t j = 0; j < k.size(); ++j) {
        inputs.k.load_row(b, shape.kv_head_of(h), static_cast<std::int64_t>(j), k[j].data());
      }
      for (std::int64_t i = 0; i < shape.query_len; ++i) {
        const std::int64_t visible = inputs.visibility.end(i);
        if (visible < least) continue;
        inputs.q.load_row(b, h, i, q.data());
        std::vector<double> mass(static_cast<std::size_t>(visible));
        for (std::size_t j = 0; j < mass.size(); ++j) {
          for (std::size_t d = 0; d < dim; ++d) mass[j] += double{q[d]} * double{k[j][d]};
          mass[j] *= double{inputs.scale};
        }
        const double highest = *std::max_element(mass.begin(), mass.end());
        double sum = 0;
        for (double& m : mass) sum += m = std::exp(m - highest);
        for (std::int64_t j = 0; j < visible; ++j) {
          const auto key = static_cast<std::size_t>(j);
          const double share = mass[key] / sum;
          if (j < sinks) {
            shares.sink += share;
            continue;
          }
          if (std::abs(inputs.visibility.position(i) - j) < window) shares.near += share;
          if (std::hypot(k[key][x], k[key][y]) > 2) shares.hitter += share;
        }
        ++shares.rows;
      }
    }
  }
  for (double* share : {&shares.sink, &shares.near, &shares.hitter}) {
    *share /= static_cast<double>(shares.rows);
  }
  return shares;
}

}  // namespace maskerade
