#include "framework/sdk/block_scores.hpp"
#include "framework/sdk/row_scores.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The blocks whose inactive keys have the largest softmax mass over a block of queries, found by
// computing the mass of every key: the upper bound for every method that ranks blocks. Heads that
// share pool these masses.
class OracleBlocks final : public sdk::BlockScoreMasker {
 public:
  static sdk::Description describe() {
    return {.id = "oracle_blocks",
            .summary = "the blocks whose inactive keys hold the most softmax mass of a query block",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = parameters()};
  }
  explicit OracleBlocks(const sdk::Arguments& arguments)
      : BlockScoreMasker(arguments,
                         sdk::Sharing::from(arguments).heads_of_call(arguments.shape())) {}

  void score_heads(const sdk::BlockRow& row, std::span<float> scores) const override {
    std::vector<double> masses(scores.size());
    std::vector<double> weights;
    sdk::score_each_head(
        row.call(), {row.head_begin(), row.head_end()}, {row.query_begin(), row.query_end()},
        [&](const sdk::QueryScores& query, std::int64_t head) {
          const double sum = sdk::softmax_weights(query.row(head), query.of(head), weights);
          sdk::clear_active(query.row(head), weights);
          double* of_head =
              &masses[static_cast<std::size_t>((head - row.head_begin()) * row.visible_blocks())];
          const auto block = static_cast<std::size_t>(this->block());
          for (std::size_t begin = 0; begin < weights.size(); begin += block) {
            double mass = 0;
            const std::size_t end = std::min(begin + block, weights.size());
            for (std::size_t key = begin; key < end; ++key) mass += weights[key];
            of_head[begin / block] += mass / sum;
          }
        });
    std::copy(masses.begin(), masses.end(), scores.begin());
  }
};

}  // namespace

MASKERADE_EXPORT_MASKER(OracleBlocks)
