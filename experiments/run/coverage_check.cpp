#include "experiments/run/coverage_check.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "experiments/data/query_sample.hpp"
#include "framework/mask/conversions.hpp"

namespace maskerade {
namespace {

constexpr std::uint64_t kQuerySeed = 1;

// What each masker that states something states.
std::vector<Guarantee> guarantees_of(const std::vector<MaskerUse>& maskers) {
  std::vector<Guarantee> stated;
  for (const MaskerUse& use : maskers) {
    const auto guarantee = stated_guarantee(use.type->descriptor(), *use.arguments);
    if (guarantee) stated.push_back(*guarantee);
  }
  return stated;
}

// The query heads for which a guarantee is stated.
std::vector<bool> stating_heads(const Pipeline& pipeline, std::int64_t query_heads) {
  std::vector<bool> heads;
  for (std::int64_t head = 0; head < query_heads; ++head) {
    const HeadRoute* route = pipeline.route_of(head);
    heads.push_back(!guarantees_of(route == nullptr ? pipeline.maskers() : route->maskers).empty());
  }
  return heads;
}

// The problem with the drawn queries alone, at their positions.
class DrawnQueries {
 public:
  // Enough queries for `rows` rows of `heads` heads of each batch entry.
  DrawnQueries(const AttentionInputs& whole, std::int64_t rows, std::int64_t heads_of_batch)
      : inputs_(whole) {
    const std::int64_t heads = whole.shape.batch * heads_of_batch;
    const std::int64_t count = std::max<std::int64_t>(1, (rows + heads - 1) / heads);
    if (count >= whole.shape.query_len) return;
    const std::vector<std::int64_t> queries =
        sample_query_rows(kQuerySeed, whole.shape.query_len, count);
    std::vector<std::int64_t> positions;
    for (const std::int64_t query : queries) {
      positions.push_back(whole.visibility.position(query));
    }
    q_ = gather_rows(whole.q, queries);
    inputs_.q = q_.view();
    inputs_.shape.query_len = count;
    inputs_.visibility = Visibility::at_positions(std::move(positions), whole.shape.key_len,
                                                  whole.visibility.is_causal());
  }

  const AttentionInputs& inputs() const { return inputs_; }

 private:
  Tensor q_;
  AttentionInputs inputs_;
};

// exp(logit - the row's largest) of every visible key of every row.
std::vector<std::vector<double>> weights_of(const AttentionInputs& inputs, const Threads& threads) {
  const AttentionShape& shape = inputs.shape;
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  std::vector<std::vector<double>> weights(static_cast<std::size_t>(shape.rows()));
  threads.for_each(shape.rows(), [&](std::int64_t row, int) {
    const std::int64_t head = row / shape.query_len;
    const std::int64_t query = row % shape.query_len;
    const std::int64_t batch = head / shape.query_heads;
    const std::int64_t kv_head = shape.kv_head_of(head % shape.query_heads);
    std::vector<float> q(dim);
    std::vector<float> k(dim);
    inputs.q.load_row(batch, head % shape.query_heads, query, q.data());
    std::vector<double> logits;
    for (std::int64_t key = 0; key < inputs.visibility.end(query); ++key) {
      inputs.k.load_row(batch, kv_head, key, k.data());
      double dot = 0;
      for (std::size_t d = 0; d < dim; ++d) dot += double{q[d]} * double{k[d]};
      logits.push_back(double{inputs.scale} * dot);
    }
    if (logits.empty()) return;
    const double top = *std::max_element(logits.begin(), logits.end());
    for (double& logit : logits) logit = std::exp(logit - top);
    weights[static_cast<std::size_t>(row)] = std::move(logits);
  });
  return weights;
}

}  // namespace

std::optional<Guarantee> guarantee_of(const Pipeline& pipeline) {
  std::vector<const std::vector<MaskerUse>*> lists = {&pipeline.maskers()};
  for (const HeadRoute& route : pipeline.routes()) lists.push_back(&route.maskers);
  std::optional<Guarantee> found;
  for (const std::vector<MaskerUse>* list : lists) {
    const std::vector<Guarantee> stated = guarantees_of(*list);
    if (stated.empty()) continue;
    if (stated.size() > 1) return std::nullopt;
    if (found && (found->epsilon != stated[0].epsilon || found->delta != stated[0].delta)) {
      return std::nullopt;
    }
    found = stated[0];
  }
  return found;
}

Coverage measure_coverage(const Pipeline& pipeline,
                          const AttentionInputs& whole,
                          const CoveragePreparation& prepare,
                          const Guarantee& stated,
                          const CoverageOptions& options,
                          const Threads& threads) {
  const std::vector<bool> is_stating = stating_heads(pipeline, whole.shape.query_heads);
  const DrawnQueries drawn(whole, options.rows,
                           std::count(is_stating.begin(), is_stating.end(), true));
  const AttentionInputs& inputs = drawn.inputs();
  const AttentionShape& shape = inputs.shape;
  const std::vector<std::vector<double>> weights = weights_of(inputs, threads);
  const auto rows = static_cast<std::size_t>(shape.rows());
  std::vector<double> exact(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    for (const double weight : weights[row]) exact[row] += weight;
  }
  std::vector<std::size_t> looked_at;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto head = static_cast<std::int64_t>(row) / shape.query_len % shape.query_heads;
    if (is_stating[static_cast<std::size_t>(head)]) looked_at.push_back(row);
  }
  CoverageTally tally(stated, looked_at.size());
  std::vector<double> estimates(rows);
  for (std::int64_t seed = 0; seed < options.seeds; ++seed) {
    const PipelineOptions seeded{.seed = options.first_seed + static_cast<std::uint64_t>(seed),
                                 .chunk_rows = options.chunk_rows};
    const Mask mask = prepare(pipeline, inputs, seeded).select(threads).mask;
    const CompressedRows entries = to_compressed_rows(mask);
    threads.for_each(shape.rows(), [&](std::int64_t row, int) {
      const std::int64_t head = row / shape.query_len;
      const std::int64_t own = (mask.extent_batch(head / shape.query_heads) * mask.extent().heads +
                                mask.extent_head(head % shape.query_heads, shape.query_heads)) *
                                   shape.query_len +
                               row % shape.query_len;
      double estimate = 0;
      const auto begin = static_cast<std::size_t>(entries.offsets[static_cast<std::size_t>(own)]);
      const auto end = static_cast<std::size_t>(entries.offsets[static_cast<std::size_t>(own) + 1]);
      for (std::size_t entry = begin; entry < end; ++entry) {
        estimate +=
            weights[static_cast<std::size_t>(row)][static_cast<std::size_t>(entries.keys[entry])] /
            double{entries.probabilities[entry]};
      }
      estimates[static_cast<std::size_t>(row)] = estimate;
    });
    for (std::size_t i = 0; i < looked_at.size(); ++i) {
      tally.add(i, estimates[looked_at[i]], exact[looked_at[i]]);
    }
  }
  return tally.finish();
}

}  // namespace maskerade
