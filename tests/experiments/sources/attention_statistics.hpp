#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade {

// Where the softmax mass of dense attention lies: means over all rows of every 8th query.
struct AttentionStatistics {
  double sink_mass = 0;   // on the first 4 keys
  double local_mass = 0;  // on keys less than 64 tokens away
  double top_mass = 0;    // on the heaviest 5 % of the visible keys of each row
  // (sum of eigenvalues)^2 / sum of their squares, of the keys' second moments about their mean, as
  // a share of head_dim; mean over kv heads. 1 when all directions are alike.
  double key_rank = 0;
};

inline AttentionStatistics attention_statistics(const AttentionInputs& inputs) {
  const AttentionShape& shape = inputs.shape;
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  AttentionStatistics statistics;
  std::int64_t rows = 0;
  std::vector<float> q(dim);
  std::vector<float> k(dim);
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.query_heads; ++h) {
      for (std::int64_t i = 0; i < shape.query_len; i += 8) {
        inputs.q.load_row(b, h, i, q.data());
        std::vector<double> mass(static_cast<std::size_t>(inputs.visibility.end(i)));
        for (std::size_t j = 0; j < mass.size(); ++j) {
          inputs.k.load_row(b, shape.kv_head_of(h), static_cast<std::int64_t>(j), k.data());
          for (std::size_t d = 0; d < dim; ++d) {
            mass[j] += static_cast<double>(q[d]) * static_cast<double>(k[d]);
          }
          mass[j] *= static_cast<double>(inputs.scale);
        }
        const double highest = *std::max_element(mass.begin(), mass.end());
        double sum = 0;
        for (double& x : mass) sum += x = std::exp(x - highest);
        for (std::size_t j = 0; j < mass.size(); ++j) {
          const std::int64_t distance =
              std::abs(inputs.visibility.position(i) - static_cast<std::int64_t>(j));
          if (j < 4) statistics.sink_mass += mass[j] / sum;
          if (distance < 64) statistics.local_mass += mass[j] / sum;
        }
        std::sort(mass.begin(), mass.end(), std::greater<>());
        const std::size_t top = std::max<std::size_t>(1, mass.size() / 20);
        for (std::size_t j = 0; j < top; ++j) statistics.top_mass += mass[j] / sum;
        ++rows;
      }
    }
    for (std::int64_t h = 0; h < shape.kv_heads; ++h) {
      std::vector<double> mean(dim);
      std::vector<double> moments(dim * dim);
      for (std::int64_t j = 0; j < shape.key_len; ++j) {
        inputs.k.load_row(b, h, j, k.data());
        for (std::size_t d = 0; d < dim; ++d) {
          mean[d] += static_cast<double>(k[d]);
          for (std::size_t e = 0; e < dim; ++e) {
            moments[d * dim + e] += static_cast<double>(k[d]) * static_cast<double>(k[e]);
          }
        }
      }
      double trace = 0;
      double squares = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        for (std::size_t e = 0; e < dim; ++e) {
          const double moment = moments[d * dim + e] - mean[d] * mean[e] / double(shape.key_len);
          squares += moment * moment;
          if (d == e) trace += moment;
        }
      }
      statistics.key_rank += trace * trace / squares / static_cast<double>(shape.head_dim) /
                             static_cast<double>(shape.kv_heads * shape.batch);
    }
  }
  for (double* value : {&statistics.sink_mass, &statistics.local_mass, &statistics.top_mass}) {
    *value /= static_cast<double>(rows);
  }
  return statistics;
}

}  // namespace maskerade
