// Files of random numbers for the maskers that read what was learned elsewhere.
#pragma once

#include <numeric>
#include <random>

#include "tests/maskers/scorer_checks.hpp"

namespace maskerade {

// double_sparsity's order of the channels for every query head, in a random one.
inline std::string write_channel_order(const DataFolder& folder,
                                       std::int64_t heads,
                                       std::int64_t head_dim,
                                       std::mt19937& engine) {
  std::vector<std::vector<std::int64_t>> orders;
  for (std::int64_t head = 0; head < heads; ++head) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(head_dim));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), engine);
    orders.push_back(order);
  }
  return write_json(folder, {{"channel_order", orders}});
}

// hash_attention's layers, one of 24 bits for every query head.
inline std::string write_hash_layers(const DataFolder& folder,
                                     std::int64_t heads,
                                     std::int64_t head_dim,
                                     std::mt19937& engine) {
  constexpr std::size_t kBits = 24;
  std::normal_distribution<float> normal;
  const auto row = [&] {
    std::vector<float> numbers;
    for (std::size_t i = 0; i < kBits; ++i) numbers.push_back(normal(engine));
    return numbers;
  };
  nlohmann::json layers;
  for (const std::string side : {"hat_q", "hat_k"}) {
    for (std::int64_t head = 0; head < heads; ++head) {
      nlohmann::json weights;
      for (std::int64_t d = 0; d < head_dim; ++d) weights.push_back(row());
      layers[side + "_w0"].push_back(weights);
      layers[side + "_b0"].push_back(row());
    }
  }
  return write_safetensors(folder, layers);
}

}  // namespace maskerade
