// Every masker with an index, through the pipeline, as keys come one by one.
#include <memory>
#include <random>

#include "experiments/rules/mask_rules.hpp"
#include "tests/maskers/weight_files.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kDim = 16;
constexpr std::int64_t kHeads = 4;
constexpr std::int64_t kPrompt = 90;
constexpr std::int64_t kSteps = 60;  // over two borders of tiles, and of pages and blocks
constexpr std::int64_t kEnd = kPrompt + kSteps;

// A way to use a masker with an index.
struct IndexUse {
  std::string id;
  NamedArguments given;
  bool freezes = false;  // something when it is built
};

class DecodeSteps : public testing::Test {
 protected:
  DecodeSteps() : problem_({2, kHeads, 2, kSteps, kPrompt + kSteps, kDim}, {.causal = true}) {}

  // The keys [0, key_len), and the query at the last of them.
  AttentionInputs at(std::int64_t key_len) const {
    AttentionInputs inputs = problem_.inputs();
    inputs.shape.query_len = 1;
    inputs.shape.key_len = key_len;
    inputs.q.data = inputs.q.row(0, 0, std::max<std::int64_t>(key_len - kPrompt - 1, 0));
    inputs.q.length = 1;
    inputs.k.length = key_len;
    inputs.v.length = key_len;
    inputs.visibility = Visibility::causal(1, key_len);
    return inputs;
  }
  // The pipeline with this masker as the keys come, at key_len of them.
  std::unique_ptr<rules::GrowingPipeline> growing(const IndexUse& with,
                                                  std::int64_t key_len,
                                                  int threads = 2) const {
    return std::make_unique<rules::GrowingPipeline>(
        Pipeline({use("sink", {{"", "2"}}), use(with.id, with.given)}),
        [this](std::int64_t keys) { return at(keys); }, PipelineOptions{.seed = 11}, threads,
        key_len);
  }
  rules::GrowingSelectionMaker maker(const IndexUse& with) const {
    return [this, &with](std::int64_t key_len) { return growing(with, key_len); };
  }

  // One or more for every masker with an index.
  std::vector<IndexUse> all() const {
    std::mt19937 engine(4);
    const std::string channels = write_channel_order(folder_, kHeads, kDim, engine);
    const std::string signs = write_hash_layers(folder_, kHeads, kDim, engine);
    return {
        {"double_sparsity", {{"", "9"}, {"file", channels}, {"group_factor", "4"}}},
        {"double_sparsity",
         {{"", "9"}, {"file", channels}, {"group_factor", "4"}, {"label_bits", "4"}}},
        {"hash_attention", {{"", "9"}, {"file", signs}}},
        {"hash_attention", {{"", "9"}, {"file", signs}, {"share", "kv_head"}}},
        {"quest", {{"", "24"}, {"page_size", "8"}, {"min_pages", "1"}}},
        {"quest", {{"", "40"}, {"page_size", "20"}, {"label_bits", "4"}, {"share", "kv_head"}}},
        {"block_mean_topk", {{"", "32"}, {"block", "16"}}},
        {"block_mean_topk", {{"", "32"}, {"block", "16"}, {"pool", "max"}}},
        {"socket", {{"", "9"}, {"tables", "5"}, {"bits_per_table", "4"}}},
        {"pq_cache", {{"", "9"}, {"bits", "4"}}, true},
        {"pq_cache", {{"", "9"}, {"bits", "3"}, {"metric", "ip"}, {"init_offset", "5"}}, true},
        {"magic_pig", {{"tables", "12"}, {"bits", "3"}}, true},
        {"magic_pig", {{"tables", "12"}, {"bits", "3"}, {"transform", "simple_lsh"}}, true},
        {"magic_pig", {{"tables", "12"}, {"bits", "3"}, {"new_keys", "exact"}}, true},
    };
  }
  static std::string name_of(const IndexUse& with) {
    std::string name = with.id;
    for (const auto& [key, value] : with.given) {
      if (key != "file") name += " " + key + "=" + value;
    }
    return name;
  }

  MaskerProblem problem_;
  DataFolder folder_;
};

TEST_F(DecodeSteps, AreTestedForEveryMaskerWithAnIndex) {
  Catalog catalog;
  catalog.load_folder(MASKERADE_BUILT_IN_PLUGINS, true);
  const std::vector<IndexUse> tested = all();
  for (const auto& type : catalog.types()) {
    if (type->extension<maskerade_index_extension>() == nullptr) continue;
    EXPECT_TRUE(std::any_of(tested.begin(), tested.end(), [&](const IndexUse& with) {
      return with.id == type->id();
    })) << type->id();
  }
}

TEST_F(DecodeSteps, AppendingInAnySplitEqualsAppendingAtOnce) {
  for (const IndexUse& with : all()) {
    EXPECT_TRUE(rules::holds(rules::check_append_splits(maker(with), kPrompt, kEnd)))
        << name_of(with);
    const auto whole = growing(with, kPrompt);
    whole->append(kEnd);
    const std::int64_t of_the_sink = 2 * kHeads * 2;
    EXPECT_GT(count(whole->select()).active_entries, of_the_sink) << name_of(with);
  }
}

TEST_F(DecodeSteps, EqualBuildingOnEverythingWhereNothingIsFrozen) {
  for (const IndexUse& with : all()) {
    if (with.freezes) continue;
    const auto steps = growing(with, kPrompt);
    for (std::int64_t key_len = kPrompt + 1; key_len <= kEnd; ++key_len) {
      steps->append(key_len);
      const Selection whole = growing(with, key_len)->selection();
      const Selection grown = steps->selection();
      EXPECT_TRUE(
          rules::holds(rules::check_same_entries("a step is the whole", grown.mask, whole.mask)))
          << name_of(with) << ' ' << key_len;
      EXPECT_EQ(report_of(grown, with.id).keys_scored, report_of(whole, with.id).keys_scored)
          << name_of(with);
    }
  }
}

// Steps that begin a page or a block, end one, and lie within one.
TEST_F(DecodeSteps, RepeatedAHundredTimesLeaveTheIndexAsItWas) {
  for (const IndexUse& with : all()) {
    EXPECT_TRUE(rules::holds(
        rules::check_truncate_undoes_append(maker(with), kPrompt, kPrompt + 12, 1, 100)))
        << name_of(with);
  }
}

// As key_len grows: the percentage is of the keys that there are at a step.
TEST_F(DecodeSteps, AreDenseByABudgetOfEveryKey) {
  std::vector<IndexUse> uses = all();
  uses.push_back({"oracle_topk", {{"", "9"}}});
  uses.push_back({"oracle_blocks", {{"", "9"}, {"block", "16"}}});
  for (const IndexUse& with : uses) {
    const MaskerUse masker = use(with.id, with.given);
    const std::optional<std::size_t> budget = rules::budget_parameter(*masker.type);
    if (!budget) continue;
    IndexUse whole = with;
    whole.given.front().second = "100%";
    // Keys before this offset are no candidates.
    std::erase_if(whole.given, [](const auto& given) { return given.first == "init_offset"; });
    const auto steps = growing(whole, kPrompt);
    for (std::int64_t key_len = kPrompt + 1; key_len <= kEnd; ++key_len) {
      steps->append(key_len);
      EXPECT_EQ(density(steps->select()), 1) << name_of(whole) << ' ' << key_len;
    }
  }
}

TEST_F(DecodeSteps, SelectTheSameWithAnyNumberOfThreads) {
  for (const IndexUse& with : all()) {
    const auto one = growing(with, kPrompt, 1);
    const auto two = growing(with, kPrompt, 2);
    const auto three = growing(with, kPrompt, 3);
    for (std::int64_t key_len = kPrompt + 1; key_len <= kEnd; ++key_len) {
      one->append(key_len);
      two->append(key_len);
      three->append(key_len);
      const Mask expected = one->select();
      EXPECT_EQ(two->select(), expected) << name_of(with) << ' ' << key_len;
      EXPECT_EQ(three->select(), expected) << name_of(with) << ' ' << key_len;
    }
  }
}

// Values of a parameter other than the one at hand; none of files and texts.
std::vector<std::string> other_values(const maskerade_parameter& parameter,
                                      const maskerade_value& present) {
  switch (parameter.unit) {
    case MASKERADE_UNIT_TOKENS:
      return {"17"};
    case MASKERADE_UNIT_COUNT:
    case MASKERADE_UNIT_BLOCKS:
      return {std::to_string(static_cast<double>(present.integer) < parameter.maximum
                                 ? present.integer + 1
                                 : present.integer - 1)};
    case MASKERADE_UNIT_CHOICE: {
      std::vector<std::string> others;
      for (const char* const* choice = parameter.choices; *choice != nullptr; ++choice) {
        if (*choice != std::string(present.text)) others.emplace_back(*choice);
      }
      return others;
    }
    default:
      return {};
  }
}

// What MASKERADE_AFFECTS_INDEX says, and `maskerade list` shows.
TEST_F(DecodeSteps, IndexesServeOtherValuesOfParametersThatDoNotAffectThem) {
  std::int64_t tried = 0;
  for (const IndexUse& with : all()) {
    const MaskerUse given = use(with.id, with.given);
    const maskerade_masker_descriptor& descriptor = given.type->descriptor();
    rules::MaskerIndex built = index_over(given, problem_, kPrompt + kSteps);
    for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
      const maskerade_parameter& parameter = descriptor.parameters[i];
      if ((parameter.flags & (MASKERADE_AFFECTS_INDEX | MASKERADE_LIST)) != 0) continue;
      for (const std::string& value :
           other_values(parameter, given.arguments->view()[i].values[0])) {
        auto arguments = rebind_argument(descriptor, *given.arguments, i, value);
        rules::MaskerIndex other =
            index_over({given.type, std::make_shared<const Arguments>(std::move(arguments))},
                       problem_, kPrompt + kSteps);
        const std::string what = name_of(with) + ", then " + parameter.name + "=" + value;
        EXPECT_EQ(other.index_bytes(), built.index_bytes()) << what;
        EXPECT_EQ(other.select_by(built), other.select()) << what;
        ++tried;
      }
    }
  }
  EXPECT_GE(tried, 3 * static_cast<std::int64_t>(all().size()));
}

}  // namespace
}  // namespace maskerade
