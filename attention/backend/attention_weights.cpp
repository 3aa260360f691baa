#include "attention/backend/attention_weights.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace maskerade {
namespace {

// Appends the active keys of a row, ascending, and their biases.
void add_row(
    const Mask& mask, std::int64_t b, std::int64_t h, std::int64_t query, MaskEntries& entries) {
  const SampledEntries sampled = mask.sampled(b, h, query);
  std::size_t s = 0;
  const auto add_samples_below = [&](std::int64_t key) {
    for (; s < sampled.keys.size() && sampled.keys[s] < key; ++s) {
      entries.keys.push_back(sampled.keys[s]);
      entries.biases.push_back(-std::log(sampled.probabilities[s]));
    }
  };
  const std::int64_t height = mask.tile_height();
  const TileRowView view = mask.tile_row(b, h, query / height);
  const std::int64_t end = mask.visibility().end(query);
  view.for_each_tile([&](std::int64_t tile, const std::uint64_t* words) {
    const std::int64_t first = tile * kTileKeys;
    const std::uint64_t word =
        words == nullptr ? ~std::uint64_t{0} : words[query - view.first_query];
    for (std::int64_t key = first; key < std::min(first + kTileKeys, end); ++key) {
      if (((word >> (key - first)) & 1U) == 0) continue;
      add_samples_below(key);
      entries.keys.push_back(static_cast<std::int32_t>(key));
      entries.biases.push_back(0);
    }
  });
  add_samples_below(std::numeric_limits<std::int64_t>::max());
}

}  // namespace

MaskEntries entries_of(const Mask& mask, const AttentionShape& shape) {
  MaskEntries entries;
  entries.offsets.push_back(0);
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      for (std::int64_t query = 0; query < shape.query_len; ++query) {
        add_row(mask, mask.extent_batch(b), mask.extent_head(head, shape.query_heads), query,
                entries);
        entries.offsets.push_back(static_cast<std::int64_t>(entries.keys.size()));
      }
    }
  }
  return entries;
}

AttentionWeights weigh_on_host(const AttentionInputs& inputs,
                               const Mask& mask,
                               const Threads& threads) {
  const AttentionShape& shape = inputs.shape;
  MaskEntries entries = entries_of(mask, shape);
  AttentionWeights weighed{.offsets = std::move(entries.offsets),
                           .keys = std::move(entries.keys),
                           .weights = std::vector<float>(entries.biases.size())};
  threads.for_each(shape.rows(), [&](std::int64_t row, int) {
    const std::int64_t begin = weighed.offsets[static_cast<std::size_t>(row)];
    const std::int64_t count = weighed.offsets[static_cast<std::size_t>(row) + 1] - begin;
    if (count == 0) return;
    const std::int64_t slice = row / shape.query_len;
    const std::int64_t batch = slice / shape.query_heads;
    const std::int64_t head = slice % shape.query_heads;
    const auto dim = static_cast<std::size_t>(shape.head_dim);
    std::vector<float> q(dim);
    std::vector<float> k(dim);
    inputs.q.load_row(batch, head, row % shape.query_len, q.data());
    std::vector<double> logits(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      const auto entry = static_cast<std::size_t>(begin + i);
      inputs.k.load_row(batch, shape.kv_head_of(head), weighed.keys[entry], k.data());
      double dot = 0;
      for (std::size_t d = 0; d < dim; ++d) dot += double{q[d]} * double{k[d]};
      logits[static_cast<std::size_t>(i)] =
          double{inputs.scale} * dot + double{entries.biases[entry]};
    }
    const double top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (double& logit : logits) sum += logit = std::exp(logit - top);
    for (std::int64_t i = 0; i < count; ++i) {
      weighed.weights[static_cast<std::size_t>(begin + i)] =
          static_cast<float>(logits[static_cast<std::size_t>(i)] / sum);
    }
  });
  return weighed;
}

}  // namespace maskerade
