#include "tests/maskers/scorer_checks.hpp"

namespace maskerade {
namespace {

constexpr std::uint64_t kSeed = 0;  // of run()

// The projections that the masker draws, [tables * bits][dim], if it comes second in its pipeline.
std::vector<float> projections(std::size_t count) {
  const MaskerHost host({.seed = kSeed, .place = 1, .depends_on = MASKERADE_DEPENDS_SEED});
  std::vector<float> numbers(count);
  EXPECT_EQ(host.c_host()->normals(host.c_host(), 0, 0, count, numbers.data()), MASKERADE_OK);
  return numbers;
}

NamedArguments tables(int bits, int count, double temperature = 0.3) {
  return {{"bits_per_table", std::to_string(bits)},
          {"tables", std::to_string(count)},
          {"temperature", std::to_string(temperature)}};
}

// By the definition: a softmax over all corners, added in float32 in the order of the tables.
Score score(const MaskerProblem& problem, int bits, int count, double temperature) {
  const auto dim = static_cast<std::size_t>(problem.shape().head_dim);
  const std::vector<float> w =
      projections(static_cast<std::size_t>(bits) * static_cast<std::size_t>(count) * dim);
  const auto product = [w, dim](const std::vector<float>& x, int row) {
    float sum = 0;
    for (std::size_t d = 0; d < dim; ++d) {
      sum = std::fma(x[d], w[static_cast<std::size_t>(row) * dim + d], sum);
    }
    return sum;
  };
  return [=, &problem](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t key) {
    const AttentionInputs& inputs = problem.inputs();
    const std::int64_t kv_head = inputs.shape.kv_head_of(h);
    const auto q = MaskerProblem::row_of(inputs.q, b, h, i);
    const auto k = MaskerProblem::row_of(inputs.k, b, kv_head, key);
    float sum = 0;
    for (int table = 0; table < count; ++table) {
      double all = 0;
      double of_key = 0;
      for (unsigned corner = 0; corner < 1U << bits; ++corner) {
        double logit = 0;
        bool same = true;
        for (int bit = 0; bit < bits; ++bit) {
          const int row = table * bits + bit;
          const bool positive = (corner >> bit & 1U) != 0;
          const double t = std::tanh(double{product(q, row)}) / std::sqrt(static_cast<double>(dim));
          logit += (positive ? t : -t) / temperature;
          same = same && (product(k, row) >= 0) == positive;
        }
        all += std::exp(logit);
        if (same) of_key = std::exp(logit);
      }
      sum += static_cast<float>(of_key / all);
    }
    double square = 0;
    for (const float v : MaskerProblem::row_of(inputs.v, b, kv_head, key)) square += double{v} * v;
    return sum * static_cast<float>(std::sqrt(square));
  };
}

TEST(Socket, TakesTheKeysThatTheQuerySharesMostWith) {
  for (const MaskerProblem& problem : edge_problems(8)) {
    expect_best_keys("socket", tables(3, 2), problem, score(problem, 3, 2, 0.3));
    expect_best_keys("socket", tables(1, 1, 0.05), problem, score(problem, 1, 1, 0.05));
  }
}

// With more buckets than there are keys the buckets of the keys alone are computed.
TEST(Socket, ScoresFewKeysByManyBuckets) {
  const MaskerProblem problem({1, 2, 1, 2, 10, 8});
  expect_best_keys("socket", tables(7, 2), problem, score(problem, 7, 2, 0.3));
}

// A bucket's keys whose values are alike score the same.
TEST(Socket, EqualScoresGoToTheLowerKey) {
  const MaskerProblem problem({1, 2, 1, 2, 150, 1}, {.dtype = DType::kBFloat16});
  expect_best_keys("socket", tables(2, 3), problem, score(problem, 2, 3, 0.3));
}

TEST(Socket, SeedsDrawOtherProjections) {
  const MaskerProblem problem({1, 2, 1, 3, 100, 8});
  const MaskerUse masker = use("socket", {{"", "10"}, {"bits_per_table", "4"}, {"tables", "4"}});
  EXPECT_NE(run({masker}, problem, {.seed = 1}).mask, run({masker}, problem, {.seed = 2}).mask);
}

TEST(Socket, CountsTheActiveKeysOrNot) { expect_counts("socket", tables(4, 2)); }

TEST(Socket, KeepsTheRulesOfASelection) {
  for (const char* share : {"query_head", "kv_head", "all"}) {
    expect_selection_rules(
        {use("sink", {{"", "2"}}), use("socket", {{"", "9"}, {"tables", "3"}, {"share", share}})},
        MaskerProblem({2, 4, 2, 130, 200, 8}, {.causal = true}));
  }
}

TEST(Socket, IndexGrowsKeyByKey) {
  const MaskerProblem problem({2, 4, 2, 3, 150, 8}, {.causal = true});
  const MaskerUse masker = use("socket", {{"", "9"}, {"tables", "3"}});
  expect_index_appends(masker, problem, 100);
  expect_appending_is_building(masker, problem);
}

TEST(Socket, ReportsItsIndexAndWhatItScores) {
  const MaskerProblem problem({1, 2, 1, 3, 100, 8}, {.causal = true});
  const MaskerReport report =
      report_of(run({use("socket", {{"", "9"}, {"tables", "5"}})}, problem), "socket");
  EXPECT_EQ(report.keys_scored, 2 * (98 + 99 + 100));
  EXPECT_EQ(report.bytes_read, 2 * (98 + 99 + 100) * (5 * 2 + 4));
  EXPECT_EQ(report.index_bytes, 100 * (5 * 2 + 4));
  EXPECT_FALSE(report.index_spans_future);
}

TEST(Socket, BadArgumentsSayWhatWouldBeRight) {
  EXPECT_EQ(error_of("socket", {{"", "4"}, {"bits_per_table", "17"}}),
            "\"bits_per_table\" is 17; it must be in [1, 16]");
  EXPECT_EQ(error_of("socket", {{"", "4"}, {"tables", "0"}}),
            "\"tables\" is 0; it must be in [1, 4096]");
  EXPECT_EQ(error_of("socket", {{"", "4"}, {"temperature", "0"}}),
            "\"temperature\" is 0; it must be > 0");
}

}  // namespace
}  // namespace maskerade
