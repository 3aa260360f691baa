// What every masker scores and reads does not depend on how its rows are cut into chunks, nor on
// threads; neither does its mask.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "framework/plugin/catalog.hpp"
#include "tests/maskers/weight_files.hpp"

namespace maskerade {
namespace {

struct MaskerWithArguments {
  std::string id;
  NamedArguments given;
};

std::string name_of(const MaskerWithArguments& with) {
  std::string name = with.id;
  for (const auto& [key, value] : with.given) {
    if (!value.starts_with("/")) name += " " + key + "=" + value;
  }
  return name;
}

class WorkCounts : public testing::Test {
 protected:
  // One or more for every masker, for problems of that shape.
  std::vector<MaskerWithArguments> all(const AttentionShape& shape) const {
    std::mt19937 engine(4);
    const std::string channels =
        write_channel_order(folder_, shape.query_heads, shape.head_dim, engine);
    const std::string signs = write_hash_layers(folder_, shape.query_heads, shape.head_dim, engine);
    const std::string rows = (folder_.path() / "rows.json").string();
    nlohmann::json ptr = {0};
    for (std::int64_t row = 1; row <= shape.query_len; ++row) ptr.push_back(row);
    std::ofstream(rows) << nlohmann::json{
        {"ptr", ptr}, {"indices", std::vector<int>(static_cast<std::size_t>(shape.query_len))}};
    return {{"adaptive_sampling", {{"epsilon", "0.2"}, {"delta", "0.2"}, {"base", "5"}}},
            {"adaptive_sampling",
             {{"epsilon", "0.2"}, {"delta", "0.2"}, {"base", "5"}, {"target", "output"}}},
            {"block_mean_topk", {{"", "64"}, {"block", "32"}}},
            {"block_random", {{"", "10%"}, {"block", "32"}}},
            {"block_stride", {{"block", "32"}}},
            {"dilated_window", {}},
            {"double_sparsity", {{"", "9"}, {"file", channels}, {"group_factor", "4"}}},
            {"from_file", {{"file", rows}, {"layout", "csr"}}},
            {"hash_attention", {{"", "9"}, {"file", signs}}},
            {"local", {{"", "9"}}},
            {"magic_pig", {{"tables", "12"}, {"bits", "3"}}},
            {"my_masker", {}},
            {"oracle_blocks", {{"", "64"}, {"block", "32"}}},
            {"oracle_blocks", {{"", "60"}, {"block", "20"}, {"share", "kv_head"}}},
            {"oracle_sampling", {{"", "9"}}},
            {"oracle_topk", {{"", "9"}}},
            {"oracle_topk", {{"", "9"}, {"share", "kv_head"}}},
            {"oracle_topk", {{"", "9"}, {"share", "all"}}},
            {"oracle_topp", {{"", "0.5"}}},
            {"oracle_topp", {{"", "0.5"}, {"share", "all"}}},
            {"pq_cache", {{"", "9"}, {"bits", "4"}}},
            {"quest", {{"", "24"}, {"page_size", "8"}, {"min_pages", "1"}}},
            {"quest", {{"", "24"}, {"page_size", "8"}, {"min_pages", "1"}, {"share", "kv_head"}}},
            {"random_sampling", {{"", "5%"}}},
            {"recent_topk", {{"", "9"}}},
            {"sink", {{"", "2"}}},
            {"socket", {{"", "9"}, {"tables", "5"}, {"bits_per_table", "4"}}},
            {"strided", {}},
            {"vertical_slash", {{"verticals", "5"}, {"slashes", "3"}}},
            {"xattention", {}},
            {"xattention", {{"block", "32"}}},
            {"xattention", {{"block", "48"}, {"stride", "16"}, {"share", "kv_head"}}}};
  }
  void expect_equal_counts(const AttentionShape& shape, bool causal) const {
    const MaskerProblem problem(shape, {.causal = causal});
    for (const MaskerWithArguments& with : all(shape)) {
      const Pipeline pipeline({use("sink", {{"", "1"}}), use(with.id, with.given)});
      EXPECT_TRUE(rules::holds(rules::check_selection_is_repeatable(
          rules::selector_of(pipeline), {.inputs = problem.inputs(), .options = {.seed = 5}})))
          << name_of(with);
    }
  }

  DataFolder folder_;
};

TEST_F(WorkCounts, AreTestedForEveryMasker) {
  Catalog catalog;
  catalog.load_folder(MASKERADE_BUILT_IN_PLUGINS, true);
  const std::vector<MaskerWithArguments> tested = all({1, 2, 1, 3, 9, 16});
  for (const std::string& id : catalog.ids()) {
    EXPECT_TRUE(std::any_of(tested.begin(), tested.end(), [&](const MaskerWithArguments& with) {
      return with.id == id;
    })) << id;
  }
}

TEST_F(WorkCounts, DoNotDependOnChunksInAPrefill) {
  expect_equal_counts({1, 4, 2, 300, 420, 16}, true);
}

// Positions begin at a multiple of every block, so that each can be a chunk of its own.
TEST_F(WorkCounts, DoNotDependOnChunksThatEndAtBlocks) {
  expect_equal_counts({1, 2, 1, 384, 384, 16}, true);
}

TEST_F(WorkCounts, DoNotDependOnChunksWithoutCausality) {
  expect_equal_counts({2, 2, 2, 200, 210, 16}, false);
}

TEST_F(WorkCounts, DoNotDependOnThreadsAtDecode) {
  expect_equal_counts({2, 4, 2, 1, 300, 16}, true);
}

// Over so many keys fewer than 64 rows are scored at once.
TEST_F(WorkCounts, DoNotDependOnChunksWhereFewRowsAreScoredAtOnce) {
  const MaskerProblem problem({1, 2, 1, 130, 20'000, 4}, {.causal = true});
  for (const MaskerWithArguments& with :
       {MaskerWithArguments{"oracle_topk", {{"", "9"}}},
        MaskerWithArguments{"oracle_topk", {{"", "9"}, {"share", "kv_head"}}},
        MaskerWithArguments{"recent_topk", {{"", "9"}}},
        MaskerWithArguments{"oracle_blocks", {{"", "64"}, {"block", "64"}}}}) {
    EXPECT_TRUE(rules::holds(rules::check_selection_is_repeatable(
        rules::selector_of(Pipeline({use(with.id, with.given)})), {.inputs = problem.inputs()})))
        << name_of(with);
  }
}

}  // namespace
}  // namespace maskerade
