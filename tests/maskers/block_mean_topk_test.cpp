#include "tests/maskers/block_checks.hpp"
#include "tests/maskers/index_checks.hpp"

namespace maskerade {
namespace {

using Vectors = std::vector<std::vector<float>>;

std::vector<double> pooled(const Vectors& vectors, bool mean) {
  std::vector<double> result(vectors.front().begin(), vectors.front().end());
  for (std::size_t v = 1; v < vectors.size(); ++v) {
    for (std::size_t d = 0; d < result.size(); ++d) {
      const double value = vectors[v][d];
      result[d] = mean ? result[d] + value : std::max(result[d], value);
    }
  }
  for (double& value : result) value /= mean ? static_cast<double>(vectors.size()) : 1;
  return result;
}

void expect_block_means(const BlockCase& how,
                        const std::string& pool,
                        const MaskerProblem& problem,
                        std::int64_t budget_keys) {
  NamedArguments given = how.given();
  given.emplace_back("pool", pool);
  const AttentionShape& shape = problem.shape();
  expect_best_blocks(
      how, {use("block_mean_topk", given)}, problem, budget_keys,
      [&](auto b, auto head, const auto& queries) {
        Vectors q;
        for (const std::int64_t i : queries) {
          q.push_back(MaskerProblem::row_of(problem.inputs().q, b, head, i));
        }
        const std::vector<double> query = pooled(q, pool == "mean");
        std::vector<double> scores;
        for (std::int64_t begin = 0; begin < shape.key_len; begin += how.block) {
          Vectors k;
          for (std::int64_t key = begin; key < std::min(begin + how.block, shape.key_len); ++key) {
            k.push_back(MaskerProblem::row_of(problem.inputs().k, b, shape.kv_head_of(head), key));
          }
          const std::vector<double> key = pooled(k, pool == "mean");
          scores.push_back(std::inner_product(query.begin(), query.end(), key.begin(), 0.0));
        }
        return scores;
      });
}

TEST(BlockMeanTopK, TakesTheBlocksWithTheLargestPooledProduct) {
  for (const AttentionShape& shape : edge_shapes()) {
    for (const bool causal : {false, true}) {
      const MaskerProblem problem(shape, {.causal = causal});
      for (const std::string pool : {"mean", "max"}) {
        expect_block_means({.block = 16, .budget = "40"}, pool, problem, 40);
        expect_block_means({.block = 24, .budget = "100"}, pool, problem, 100);
        expect_block_means({.budget = "1"}, pool, problem, 1);
        expect_block_means({.block = 100, .budget = "1000"}, pool, problem, 1000);
      }
    }
  }
}

TEST(BlockMeanTopK, TypesOfKeysAreWidened) {
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    expect_block_means({.block = 16, .budget = "48"}, "mean",
                       MaskerProblem({1, 4, 2, 20, 150, 8}, {.causal = true, .dtype = dtype}), 48);
  }
}

TEST(BlockMeanTopK, FullBlocksAreNoCandidates) {
  const MaskerProblem problem({1, 6, 2, 70, 150, 8}, {.causal = true});
  for (const std::int64_t sink : {5, 16, 100, 150}) {
    expect_block_means({.block = 16, .budget = "50", .sink = sink}, "mean", problem, 50);
    expect_block_means({.block = 16, .budget = "64", .counts = "total", .sink = sink}, "mean",
                       problem, 64);
  }
}

TEST(BlockMeanTopK, SharingHeadsPoolTheirProducts) {
  const MaskerProblem problem({2, 6, 2, 40, 150, 8}, {.causal = true});
  for (const std::string share : {"kv_head", "all"}) {
    for (const std::string reduce : {"sum", "max"}) {
      expect_block_means({.block = 16, .budget = "30%", .share = share, .reduce = reduce}, "mean",
                         problem, 45);
    }
  }
}

TEST(BlockMeanTopK, EqualBlocksAreTakenFromTheFirstKeyOn) {
  const MaskerProblem problem({1, 2, 1, 1, 128, 8}, {.equal_keys = 128});
  expect_keys(run({use("block_mean_topk", {{"", "32"}, {"block", "16"}})}, problem).mask, problem,
              [](auto, auto, auto) {
                std::vector<std::int64_t> keys(32);
                std::iota(keys.begin(), keys.end(), 0);
                return keys;
              });
}

TEST(BlockMeanTopK, AppendingInAnySplitEqualsBuildingAtOnce) {
  const MaskerProblem problem({2, 4, 2, 3, 150, 8}, {.dtype = DType::kBFloat16});
  for (const std::string pool : {"mean", "max"}) {
    const MaskerUse masker = use("block_mean_topk", {{"", "48"}, {"block", "16"}, {"pool", pool}});
    const rules::GrowingSelectionMaker make = indexes_over(masker, problem);
    for (const std::int64_t built : {0, 1, 16, 40, 149}) {
      EXPECT_TRUE(rules::holds(rules::check_append_splits(make, built, 150))) << built;
    }
    expect_appending_is_building(masker, problem);
  }
}

TEST(BlockMeanTopK, TruncatingThenAppendingRestores) {
  const MaskerProblem problem({1, 4, 2, 3, 150, 8});
  const MaskerUse masker = use("block_mean_topk", {{"", "48"}, {"block", "16"}});
  const rules::GrowingSelectionMaker make = indexes_over(masker, problem);
  const std::int64_t ends[] = {149, 130, 100, 97, 96, 90, 48, 47, 1, 0};
  EXPECT_TRUE(rules::holds(rules::check_append_is_build(make, ends, 150)));
  EXPECT_TRUE(rules::holds(rules::check_truncate_undoes_append(make, 100, 150, 1, 100)));
}

TEST(BlockMeanTopK, ReadsThePooledKeysAndSpansTheFuture) {
  const MaskerProblem problem({1, 4, 2, 2, 128, 8}, {.causal = true});
  const MaskerReport report = report_of(
      run({use("block_mean_topk", {{"", "16"}, {"block", "16"}})}, problem), "block_mean_topk");
  EXPECT_EQ(report.keys_scored, 4 * 8);
  EXPECT_EQ(report.bytes_read, 4 * 8 * 8 * 4);
  EXPECT_EQ(report.index_bytes, 2 * (8 * 8 * 4 + 8 * 8));
  EXPECT_TRUE(report.index_spans_future);
}

TEST(BlockMeanTopK, KeepsTheRulesOfASelection) {
  for (const std::string share : {"query_head", "kv_head"}) {
    expect_selection_rules(
        {use("block_mean_topk", {{"", "40"}, {"block", "20"}, {"share", share}})},
        MaskerProblem({2, 4, 2, 230, 300, 8}, {.causal = true}));
  }
}

TEST(BlockMeanTopK, BadArgumentsSayWhatWouldBeRight) {
  EXPECT_EQ(error_of("block_mean_topk", {{"", "8"}, {"pool", "min"}}),
            "\"pool\" is \"min\"; it must be mean | max");
}

}  // namespace
}  // namespace maskerade
