#include <numeric>

#include "tests/maskers/scorer_checks.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kDim = 16;

// A channel order of each of 8 heads, as published.
class DoubleSparsity : public testing::Test {
 protected:
  DoubleSparsity() {
    std::mt19937 engine(4);
    for (std::int64_t head = 0; head < 8; ++head) {
      std::vector<std::int64_t> order(kDim);
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), engine);
      orders_.push_back(order);
    }
  }
  // The orders of the first `heads` heads.
  NamedArguments given(std::int64_t heads, int group_factor, int label_bits) const {
    const std::vector<std::vector<std::int64_t>> first(orders_.begin(), orders_.begin() + heads);
    return {{"file", write_json(folder_, {{"model.layers.0.self_attn.qk_proj", first}})},
            {"group_factor", std::to_string(group_factor)},
            {"label_bits", std::to_string(label_bits)}};
  }
  std::string error(const nlohmann::json& json, NamedArguments further = {}) const {
    further.insert(further.end(), {{"budget", "2"}, {"file", write_json(folder_, json)}});
    return folder_.shorten(error_of("double_sparsity", further));
  }
  // By the definition: the channels, fake-quantised to (x - min) * (2^bits - 1) / (max - min).
  std::vector<float> label(std::int64_t head,
                           const std::vector<float>& vector,
                           int kept,
                           int bits) const {
    std::vector<float> label;
    for (int c = 0; c < kept; ++c) {
      label.push_back(vector[static_cast<std::size_t>(
          orders_[static_cast<std::size_t>(head)][static_cast<std::size_t>(c)])]);
    }
    if (bits == 16) return label;
    const float low = *std::min_element(label.begin(), label.end());
    const float high = *std::max_element(label.begin(), label.end());
    const auto top = static_cast<float>((1 << bits) - 1);
    const float scale = top / (high == low ? 1 : high - low);
    for (float& x : label) x = std::rint((x - low) * scale) / scale + low;
    return label;
  }
  Score score(const MaskerProblem& problem, int kept, int bits) const {
    return [this, &problem, kept, bits](std::int64_t b, std::int64_t h, std::int64_t i,
                                        std::int64_t key) {
      const AttentionInputs& inputs = problem.inputs();
      const auto q = label(h, MaskerProblem::row_of(inputs.q, b, h, i), kept, bits);
      const auto k =
          label(h, MaskerProblem::row_of(inputs.k, b, inputs.shape.kv_head_of(h), key), kept, bits);
      float sum = 0;
      for (std::size_t c = 0; c < q.size(); ++c) sum = std::fma(q[c], k[c], sum);
      return sum / std::sqrt(static_cast<float>(kept));
    };
  }

  DataFolder folder_;
  std::vector<std::vector<std::int64_t>> orders_;
};

TEST_F(DoubleSparsity, TakesTheBestKeysByTheKeptChannels) {
  for (const MaskerProblem& problem : edge_problems(kDim)) {
    for (const auto& [group_factor, bits] : {std::pair{3, 16}, {4, 4}, {1, 1}}) {
      expect_best_keys("double_sparsity", given(problem.shape().query_heads, group_factor, bits),
                       problem, score(problem, kDim / group_factor, bits));
    }
  }
}

// One channel of bfloat16: many keys score the same.
TEST_F(DoubleSparsity, EqualScoresGoToTheLowerKey) {
  const MaskerProblem problem({1, 2, 1, 2, 700, kDim}, {.dtype = DType::kBFloat16});
  expect_best_keys("double_sparsity", given(2, kDim, 16), problem, score(problem, 1, 16));
}

TEST_F(DoubleSparsity, AllChannelsAreTheOracle) {
  const MaskerProblem problem({1, 2, 1, 5, 300, kDim}, {.causal = true});
  for (std::vector<std::int64_t>& order : orders_) std::sort(order.begin(), order.end());
  NamedArguments all = given(2, 1, 16);
  all.emplace_back("budget", "20");
  EXPECT_EQ(run({use("double_sparsity", all)}, problem).mask,
            run({use("oracle_topk", {{"", "20"}})}, problem).mask);
}

TEST_F(DoubleSparsity, CountsTheActiveKeysOrNot) {
  expect_counts("double_sparsity", given(2, 4, 16));
}

TEST_F(DoubleSparsity, KeepsTheRulesOfASelection) {
  for (const char* share : {"query_head", "kv_head", "all"}) {
    NamedArguments all = given(4, 4, 4);
    all.insert(all.end(), {{"budget", "9"}, {"share", share}});
    expect_selection_rules({use("sink", {{"", "2"}}), use("double_sparsity", all)},
                           MaskerProblem({2, 4, 2, 130, 200, kDim}, {.causal = true}));
  }
}

TEST_F(DoubleSparsity, IndexGrowsKeyByKey) {
  const MaskerProblem problem({2, 4, 2, 3, 150, kDim}, {.causal = true});
  NamedArguments all = given(4, 4, 4);
  all.emplace_back("budget", "9");
  expect_index_appends(use("double_sparsity", all), problem, 100);
  expect_appending_is_building(use("double_sparsity", all), problem);
}

TEST_F(DoubleSparsity, ReportsItsIndexAndWhatItScores) {
  const MaskerProblem problem({1, 2, 1, 3, 100, kDim}, {.causal = true});
  NamedArguments all = given(2, 4, 16);
  all.emplace_back("budget", "9");
  const MaskerReport report =
      report_of(run({use("double_sparsity", all)}, problem), "double_sparsity");
  EXPECT_EQ(report.keys_scored, 2 * (98 + 99 + 100));
  EXPECT_EQ(report.bytes_read, 2 * 100 * 4 * 4);
  EXPECT_EQ(report.index_bytes, 2 * 100 * 4 * 4);
  EXPECT_FALSE(report.index_spans_future);
}

TEST_F(DoubleSparsity, BadArgumentsSayWhatWouldBeRight) {
  const nlohmann::json good = {{"channel_order", {{3, 1, 0, 2}}}};
  EXPECT_EQ(error(good, {{"group_factor", "4"}}), "");
  EXPECT_TRUE(says(error(good),
                   "masker \"double_sparsity\" cannot be created: group_factor is 16, which leaves "
                   "no channel of a head_dim of 4; it must be at most that"));
  EXPECT_EQ(error(good, {{"label_bits", "17"}}), "\"label_bits\" is 17; it must be in [1, 16]");
  EXPECT_EQ(error(good, {{"group_factor", "0"}}), "\"group_factor\" is 0; it must be >= 1");
  const NamedArguments four = {{"group_factor", "4"}};
  EXPECT_TRUE(
      says(error({{"channel_order", {{3, 1, 0, 2}, {3, 1, 0, 2}}}}, four),
           "cannot be created: weights.json: tensor \"channel_order\": its shape is [2, 4]; "
           "it must be [query_heads, head_dim] = [1, 4]"));
  EXPECT_TRUE(says(error({{"channel_order", {{3, 1, 0, 3}}}}, four),
                   "weights.json: tensor \"channel_order\": row 0 is no order of the channels "
                   "0 ... 3, each once"));
  EXPECT_TRUE(says(error({{"channel_order", {{3, 1, 0, 2.5}}}}, four),
                   "weights.json: tensor \"channel_order\": it must hold whole numbers"));
  EXPECT_TRUE(says(error({{"model.layers.0.self_attn.k_proj", {{3, 1, 0, 2}}}}, four),
                   "model.layers.0.self_attn.qk_proj"));
  EXPECT_EQ(error({{"model.layers.0.self_attn.k_proj", {{3, 1, 0, 2}}}},
                  {{"group_factor", "4"}, {"channels", "k_proj"}}),
            "");
}

}  // namespace
}  // namespace maskerade
