// What holds of every masker with a budget of keys, whatever the problem and its other parameters.
#include <optional>
#include <random>

#include "tests/maskers/weight_files.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kDim = 8;

// A random problem, what is active in it before, and how heads share.
class BudgetProblem {
 public:
  explicit BudgetProblem(unsigned seed)
      : engine_(seed), problem_(shape(), {.causal = pick({0, 1}) == 1, .seed = seed}) {
    inputs_ = problem_.inputs();
    const AttentionShape& shape = inputs_.shape;
    if (pick({0, 0, 1}) == 1) {
      std::vector<std::int64_t> positions;
      for (std::int64_t i = 0; i < shape.query_len; ++i) {
        positions.push_back(number(0, shape.key_len - 1));
      }
      inputs_.visibility = Visibility::at_positions(std::move(positions), shape.key_len,
                                                    inputs_.visibility.is_causal());
    }
    const std::int64_t before = pick({0, 1, 2});
    if (before > 0) {
      previous_ = rules::random_mask(
          inputs_.visibility, {shape.batch, shape.query_heads},
          {.tiles = 0.3, .keys = 0.3, .empty = 0.2, .sampled = before == 2}, seed);
    }
  }

  const AttentionShape& shape_of_inputs() const { return inputs_.shape; }
  rules::SelectionRequest request() const {
    return {
        .inputs = inputs_, .options = {.seed = 3}, .previous = previous_ ? &*previous_ : nullptr};
  }
  // The masker with random values of what a table has of these parameters.
  MaskerUse random_use(const std::string& id) {
    NamedArguments given = {{"budget", "1"}};
    if (id == "double_sparsity") {
      given.emplace_back("file",
                         write_channel_order(folder_, inputs_.shape.query_heads, kDim, engine_));
      given.emplace_back("group_factor", "4");
    }
    if (id == "hash_attention") {
      given.emplace_back("file",
                         write_hash_layers(folder_, inputs_.shape.query_heads, kDim, engine_));
    }
    const MaskerUse plain = use(id, given);
    const maskerade_masker_descriptor& descriptor = plain.type->descriptor();
    for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
      const std::string name = descriptor.parameters[i].name;
      if (name == "share") given.emplace_back(name, text({"query_head", "kv_head", "all"}));
      if (name == "counts") given.emplace_back(name, text({"extra", "total"}));
      if (name == "block" || name == "page_size") {
        given.emplace_back(name, std::to_string(pick({1, 3, 16, 64, 100, 400})));
      }
      if (name == "min_pages") given.emplace_back(name, std::to_string(pick({0, 3})));
    }
    return use(id, given);
  }
  std::int64_t number(std::int64_t least, std::int64_t greatest) {
    return std::uniform_int_distribution<std::int64_t>(least, greatest)(engine_);
  }

 private:
  std::int64_t pick(const std::vector<std::int64_t>& numbers) {
    return numbers[static_cast<std::size_t>(
        number(0, static_cast<std::int64_t>(numbers.size()) - 1))];
  }
  std::string text(const std::vector<std::string>& texts) {
    return texts[static_cast<std::size_t>(number(0, static_cast<std::int64_t>(texts.size()) - 1))];
  }
  AttentionShape shape() {
    const std::int64_t kv_heads = pick({1, 2});
    const std::int64_t key_len = number(1, 300);
    const std::int64_t query_len = std::min(key_len, pick({1, 1, 7, 40}));
    return {pick({1, 2}), kv_heads * pick({1, 3}), kv_heads, query_len, key_len, kDim};
  }

  std::mt19937 engine_;
  MaskerProblem problem_;
  AttentionInputs inputs_{.visibility = Visibility::all(1, 1)};
  std::optional<Mask> previous_;
  DataFolder folder_;
};

// The ids of the built maskers with a budget of keys.
std::vector<std::string> maskers_with_budget() {
  Catalog catalog;
  catalog.load_folder(MASKERADE_BUILT_IN_PLUGINS, true);
  std::vector<std::string> ids;
  for (const auto& type : catalog.types()) {
    if (rules::budget_parameter(*type)) ids.push_back(type->id());
  }
  return ids;
}

TEST(Budget, IsWhatTheseMaskersHave) {
  const std::vector<std::string> ids = maskers_with_budget();
  for (const char* id : {"oracle_topk", "oracle_blocks", "block_mean_topk", "quest", "pq_cache",
                         "socket", "double_sparsity", "hash_attention"}) {
    EXPECT_EQ(std::count(ids.begin(), ids.end(), id), 1) << id;
  }
  EXPECT_EQ(std::count(ids.begin(), ids.end(), "oracle_sampling"), 0);
}

class BudgetOfEveryKey : public testing::TestWithParam<std::string> {};

TEST_P(BudgetOfEveryKey, IsDense) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    BudgetProblem problem(seed);
    const MaskerUse masker = problem.random_use(GetParam());
    const std::int64_t key_len = problem.shape_of_inputs().key_len;
    const std::vector<std::string> whole = rules::whole_budgets(key_len);
    std::vector<std::string> budgets = whole;
    budgets.push_back(std::to_string(problem.number(0, key_len)));
    budgets.push_back(std::to_string(problem.number(0, 100)) + "% of visible");
    const rules::SelectionRequest request = problem.request();
    EXPECT_TRUE(rules::holds(rules::check_budgets_reach_every_key(masker, request, budgets)))
        << "seed " << seed;
    for (const std::string& budget : whole) {
      const MaskerUse with =
          rules::with_argument(masker, *rules::budget_parameter(*masker.type), budget);
      EXPECT_EQ(density(rules::selector_of(Pipeline({with}))(request).mask), 1)
          << "seed " << seed << " " << budget;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Maskers,
                         BudgetOfEveryKey,
                         testing::ValuesIn(maskers_with_budget()),
                         [](const auto& with) { return with.param; });

}  // namespace
}  // namespace maskerade
