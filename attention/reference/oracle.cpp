#include "attention/reference/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace maskerade {
namespace {

// The active keys of a row with their inclusion probabilities. b, h: of the mask's extent.
std::vector<std::pair<std::int64_t, double>> active_keys(const Mask& mask,
                                                         std::int64_t b,
                                                         std::int64_t h,
                                                         std::int64_t query) {
  std::vector<std::pair<std::int64_t, double>> keys;
  const std::int64_t visible_end = mask.visibility().end(query);
  const TileRowView view = mask.tile_row(b, h, query / mask.tile_height());
  view.for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
    for (std::int64_t j = 0; j < kTileKeys; ++j) {
      const std::int64_t key = tile * kTileKeys + j;
      const bool active = words == nullptr || ((words[query - view.first_query] >> j) & 1U) != 0;
      if (active && key < visible_end) keys.emplace_back(key, 1.0);
    }
  });
  const SampledEntries sampled = mask.sampled(b, h, query);
  for (std::size_t s = 0; s < sampled.keys.size(); ++s) {
    keys.emplace_back(sampled.keys[s], static_cast<double>(sampled.probabilities[s]));
  }
  return keys;
}

// How far sums cancel whose terms' magnitudes add up to `magnitudes`.
double cancellation_of(const std::vector<double>& sums, const std::vector<double>& magnitudes) {
  const double whole = *std::max_element(magnitudes.begin(), magnitudes.end());
  if (whole == 0) return 1;
  double left = 0;
  for (const double sum : sums) left = std::max(left, std::abs(sum));
  return whole / left;
}

}  // namespace

OracleRow oracle_row(const AttentionInputs& inputs,
                     const Mask& mask,
                     std::int64_t batch,
                     std::int64_t query_head,
                     std::int64_t query) {
  const auto dim = static_cast<std::size_t>(inputs.shape.head_dim);
  const std::int64_t kv_head = inputs.shape.kv_head_of(query_head);
  const auto keys = active_keys(mask, mask.extent_batch(batch),
                                mask.extent_head(query_head, inputs.shape.query_heads), query);
  OracleRow row{std::vector<double>(dim, 0.0), -std::numeric_limits<double>::infinity()};
  if (keys.empty()) return row;

  std::vector<float> q(dim);
  std::vector<float> kv(dim);
  inputs.q.load_row(batch, query_head, query, q.data());
  std::vector<double> logits;
  for (const auto& [key, probability] : keys) {
    inputs.k.load_row(batch, kv_head, key, kv.data());
    double dot = 0;
    double magnitude = 0;
    for (std::size_t d = 0; d < dim; ++d) {
      const double product = static_cast<double>(q[d]) * kv[d];
      dot += product;
      magnitude += std::abs(product);
    }
    logits.push_back(inputs.scale * dot - std::log(probability));
    row.logit_condition = std::max(row.logit_condition, std::abs(inputs.scale) * magnitude);
  }
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  std::vector<double> magnitudes(dim);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const double weight = std::exp(logits[i] - top);
    sum += weight;
    inputs.v.load_row(batch, kv_head, keys[i].first, kv.data());
    for (std::size_t d = 0; d < dim; ++d) {
      row.out[d] += weight * kv[d];
      magnitudes[d] += weight * std::abs(kv[d]);
    }
  }
  row.cancellation = cancellation_of(row.out, magnitudes);
  for (double& value : row.out) value /= sum;
  row.lse = top + std::log(sum);
  return row;
}

}  // namespace maskerade
