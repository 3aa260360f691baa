#include "experiments/run/coverage_check.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "experiments/data/query_sample.hpp"
#include "framework/mask/conversions.hpp"

namespace maskerade {
namespace {

constexpr std::uint64_t kQuerySeed = 1;

// The problem with the drawn queries alone, at their positions.
class DrawnQueries {
 public:
  DrawnQueries(const AttentionInputs& whole, std::int64_t rows) : inputs_(whole) {
    const std::int64_t heads = whole.shape.batch * whole.shape.query_heads;
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
  if (!pipeline.routes().empty()) return std::nullopt;
  std::optional<Guarantee> found;
  for (const MaskerUse& use : pipeline.maskers()) {
    const std::optional<Guarantee> stated =
        stated_guarantee(use.type->descriptor(), *use.arguments);
    if (stated && found) return std::nullopt;
    if (stated) found = stated;
  }
  return found;
}

Coverage measure_coverage(const Pipeline& pipeline,
                          const AttentionInputs& whole,
                          const Guarantee& stated,
                          const CoverageOptions& options,
                          const Threads& threads) {
  const DrawnQueries drawn(whole, options.rows);
  const AttentionInputs& inputs = drawn.inputs();
  const AttentionShape& shape = inputs.shape;
  const std::vector<std::vector<double>> weights = weights_of(inputs, threads);
  const auto rows = static_cast<std::size_t>(shape.rows());
  std::vector<double> exact(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    for (const double weight : weights[row]) exact[row] += weight;
  }
  CoverageTally tally(stated, rows);
  std::vector<double> estimates(rows);
  for (std::int64_t i = 0; i < options.seeds; ++i) {
    const PipelineOptions seeded{.seed = options.first_seed + static_cast<std::uint64_t>(i),
                                 .chunk_rows = options.chunk_rows};
    const Mask mask = pipeline.prepare(inputs, seeded, threads).select(threads).mask;
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
    for (std::size_t row = 0; row < rows; ++row) tally.add(row, estimates[row], exact[row]);
  }
  return tally.finish();
}

}  // namespace maskerade
