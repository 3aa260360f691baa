#include "experiments/rules/masker_rules.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "experiments/rules/mask_rules.hpp"
#include "experiments/rules/random_problem.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/mask/tile_row_builder.hpp"
#include "tests/experiments/rules/expect_rule.hpp"
#include "tests/experiments/rules/planted_masker.hpp"
#include "tests/experiments/rules/positive_keys.hpp"

namespace maskerade::rules {
namespace {

const RandomProblem& problem() {
  static const RandomProblem the_problem({2, 4, 2, 70, 130, 8}, DType::kFloat32, true, 1);
  return the_problem;
}
SelectionRequest request() { return {.inputs = problem().inputs, .options = {.seed = 3}}; }

// ---- Maskers that keep every rule ---------------------------------------------------------------

// The best keys by score, beside what is active.
class BestKeys final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    return {.id = "best_keys",
            .summary = "the best keys",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = {sdk::tokens("budget", "keys of a row")}};
  }
  explicit BestKeys(const sdk::Arguments& arguments) : budget_(arguments.tokens("budget")) {}
  void select(const maskerade_call& call) const override {
    for (std::int64_t number = 0; number < sdk::row_count(call); ++number) {
      const sdk::Row row(call, number);
      std::vector<float> scores(static_cast<std::size_t>(row.key_len()));
      row.products(0, row.key_len(), scores);
      row.add_top(scores, row.resolve(budget_));
    }
  }

 private:
  sdk::Tokens budget_;
};

// Each key by its own coin.
class Coins final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "coins",
            .summary = "each key by its own coin",
            .depends_on = sdk::kShape | sdk::kSeed,
            .traits = MASKERADE_TRAIT_SAMPLES};
  }
  explicit Coins(const sdk::Arguments&) {}
  void select_row(const sdk::Row& row) const override {
    for (std::int64_t key = 0; key < row.visible_len(); ++key) {
      if (row.call().services->uniform(&row.call(), row.number(), 0, key) < 0.25) {
        row.add_key(key, 0.25F);
      }
    }
  }
};

Selector best_keys(const char* budget) {
  return selector_of(Pipeline({planted<BestKeys>({{"budget", {budget}}})}));
}
Selector coins() { return selector_of(Pipeline({planted<Coins>()})); }

std::uint32_t declared(const MaskerUse& masker) { return masker.type->descriptor().depends_on; }

TEST(MaskerRules, HoldOfMaskersThatKeepThem) {
  const Mask previous = random_mask(problem().inputs.visibility, {2, 4}, {}, 2);
  const RandomProblem other({2, 4, 2, 70, 130, 8}, DType::kFloat32, true, 9);
  SelectionRequest other_request = request();
  other_request.inputs = other.inputs;
  SelectionRequest from_previous = request();
  from_previous.previous = &previous;
  for (const Selector& select : {best_keys("7"), coins()}) {
    EXPECT_TRUE(holds(check_visible_entries_alone(select, request())));
    EXPECT_TRUE(holds(check_selection_keeps_previous(select, from_previous)));
    EXPECT_TRUE(holds(check_selection_is_repeatable(select, request())));
    EXPECT_TRUE(holds(check_nothing_is_kept(select, request(), other_request)));
  }
  const MaskerUse best = planted<BestKeys>({{"budget", {"7"}}});
  EXPECT_TRUE(
      holds(check_undeclared_inputs_do_not_matter(best_keys("7"), request(), declared(best))));
  EXPECT_TRUE(
      holds(check_undeclared_inputs_do_not_matter(coins(), request(), declared(planted<Coins>()))));
}

// ---- Visible entries ---------------------------------------------------------------------------

// A function that selects this mask, whatever is asked for.
Selector always(const Mask& mask) {
  return [mask](const SelectionRequest&) { return Selection{mask, {}}; };
}

TEST(VisibleEntriesAlone, AnInvisibleBitIsFound) {
  const Visibility visibility = Visibility::causal(2, 100);
  const RandomProblem small({1, 1, 1, 2, 100, 4}, DType::kFloat32, true, 1);
  TileRow row;
  row.any = {2};
  row.full = {0};
  row.partial = {std::uint64_t{1} << 35, 0};  // query 0 stands at 98 and gets key 99
  const Mask mask = Mask::from_tile_rows(visibility, {}, {row});
  EXPECT_TRUE(finds(check_visible_entries_alone(always(mask), {.inputs = small.inputs}),
                    "a mask is in canonical form"));
}

TEST(VisibleEntriesAlone, AMaskOfAnotherProblemIsFound) {
  const char* rule = "a mask is over the visible entries of its problem";
  EXPECT_TRUE(finds(
      check_visible_entries_alone(always(Mask::full(Visibility::all(70, 130))), request()), rule));
  const Visibility& visibility = problem().inputs.visibility;
  for (const MaskExtent extent : {MaskExtent{2, 3}, MaskExtent{3, 4}, MaskExtent{1, 8}}) {
    EXPECT_TRUE(finds(
        check_visible_entries_alone(always(Mask::empty(visibility, extent)), request()), rule));
  }
  for (const MaskExtent extent : {MaskExtent{2, 4}, MaskExtent{1, 2}, MaskExtent{1, 1}}) {
    EXPECT_TRUE(
        holds(check_visible_entries_alone(always(Mask::empty(visibility, extent)), request())));
  }
}

// ---- What was active before --------------------------------------------------------------------

TEST(PreviousMask, ASelectionThatStartsFromNothingIsFound) {
  const Mask previous = random_mask(problem().inputs.visibility, {2, 4}, {}, 2);
  SelectionRequest from_previous = request();
  from_previous.previous = &previous;
  const Selector forgets = [](const SelectionRequest& asked) {
    SelectionRequest from_nothing = asked;
    from_nothing.previous = nullptr;
    return best_keys("7")(from_nothing);
  };
  EXPECT_TRUE(
      finds(check_selection_keeps_previous(forgets, from_previous), "the previous mask is kept"));
  EXPECT_THROW(check_selection_keeps_previous(forgets, request()), Error);
}

// ---- Budgets -----------------------------------------------------------------------------------

// The first keys of a row, one more or fewer than the budget.
class OffByOne final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "off_by_one",
            .summary = "one more or fewer than the budget",
            .depends_on = sdk::kShape,
            .parameters = {sdk::tokens("budget", "keys of a row"),
                           sdk::choice("by", {"less", "more", "nothing"}, "how far it is off"),
                           sdk::count("tables", "something else").with_default("1")}};
  }
  explicit OffByOne(const sdk::Arguments& arguments)
      : budget_(arguments.tokens("budget")), by_(arguments.choice("by")) {}
  void select_row(const sdk::Row& row) const override {
    const std::int64_t off = by_ == "more" ? 1 : by_ == "less" ? -1 : 0;
    row.add_range(0, row.resolve(budget_) + off);
  }

 private:
  sdk::Tokens budget_;
  std::string by_;
};

Violations budget_check(const char* budget, const char* by, bool is_spent) {
  const MaskerUse masker = planted<OffByOne>({{"budget", {budget}}, {"by", {by}}});
  RowBudget stated = budget_of(masker, "budget");
  stated.is_spent = is_spent;
  return check_budget(selector_of(Pipeline({masker})), request(), stated);
}

TEST(Budget, OneKeyTooManyOrTooFewIsFound) {
  const char* rule = "a row gets no more keys than the budget";
  for (const char* budget : {"8", "10%", "10% of visible"}) {
    EXPECT_TRUE(holds(budget_check(budget, "nothing", true))) << budget;
    EXPECT_TRUE(finds(budget_check(budget, "more", false), rule)) << budget;
    EXPECT_TRUE(holds(budget_check(budget, "less", false))) << budget;
    EXPECT_TRUE(finds(budget_check(budget, "less", true), rule)) << budget;
  }
}

TEST(Budget, IsClippedToWhatARowSees) { EXPECT_TRUE(holds(budget_check("1000", "nothing", true))); }

TEST(Budget, CountsWhatIsActiveWhereItIsATotal) {
  SelectionRequest from_previous = request();
  const Mask sink = selector_of(Pipeline(
      {planted<OffByOne>({{"budget", {"5"}}, {"by", {"nothing"}}})}))(request())
                        .mask;
  from_previous.previous = &sink;
  RowBudget total = budget_of(planted<BestKeys>({{"budget", {"7"}}}), "budget");
  EXPECT_TRUE(holds(check_budget(best_keys("7"), from_previous, total)));
  total.counts_total = true;
  EXPECT_TRUE(finds(check_budget(best_keys("7"), from_previous, total),
                    "a row gets no more keys than the budget"));
  EXPECT_TRUE(holds(check_budget(best_keys("2"), from_previous, total)));
}

TEST(Budget, IsReadOfTokensAndSharesAlone) {
  const MaskerUse masker = planted<OffByOne>({{"budget", {"8"}}, {"by", {"more"}}});
  const auto error_of = [&](const char* parameter) -> std::string {
    try {
      budget_of(masker, parameter);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(error_of("tables"),
            "the parameter \"tables\" of masker \"off_by_one\" is a budget only in tokens or as a "
            "share; its unit is count");
  EXPECT_EQ(error_of("keys"), "masker \"off_by_one\" has no parameter \"keys\"");
}

// The first whole pages of 16 keys, however many keys the budget has.
class WholePages final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "whole_pages",
            .summary = "whole pages alone",
            .depends_on = sdk::kShape,
            .parameters = {sdk::tokens("budget", "keys of a row"),
                           sdk::choice("counts", {"extra", "total"}, "what the budget counts")
                               .with_default("extra")}};
  }
  explicit WholePages(const sdk::Arguments& arguments) : budget_(arguments.tokens("budget")) {}
  void select_row(const sdk::Row& row) const override {
    row.add_range(0, row.resolve(budget_) / 16 * 16);
  }

 private:
  sdk::Tokens budget_;
};

// Takes pages that its table has the size of.
class SizedPages final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "sized_pages",
            .summary = "whole pages of a size",
            .depends_on = sdk::kShape,
            .parameters = {sdk::tokens("budget", "keys of a row"),
                           sdk::count("page_size", "keys of a page").with_default("16")}};
  }
  explicit SizedPages(const sdk::Arguments&) {}
  void select_row(const sdk::Row&) const override {}
};

TEST(TakesPieces, WhereTheTableHasTheirSize) {
  EXPECT_TRUE(takes_pieces(*planted<SizedPages>({{"budget", {"3"}}}).type));
  EXPECT_FALSE(takes_pieces(*planted<BestKeys>({{"budget", {"3"}}}).type));
}

// Draws with a budget, which is no budget of keys.
class Draws final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "draws",
            .summary = "draws",
            .depends_on = sdk::kShape | sdk::kSeed,
            .traits = MASKERADE_TRAIT_SAMPLES,
            .parameters = {sdk::tokens("budget", "draws")}};
  }
  explicit Draws(const sdk::Arguments&) {}
  void select_row(const sdk::Row&) const override {}
};

TEST(BudgetsOfEveryKey, AreAskedOneByOneAndNamedAsWritten) {
  const MaskerUse best = planted<BestKeys>({{"budget", {"3"}}});
  const std::int64_t key_len = request().inputs.shape.key_len;
  EXPECT_TRUE(holds(check_budgets_reach_every_key(best, request(), whole_budgets(key_len))));
  const MaskerUse pages = planted<WholePages>({{"budget", {"3"}}});
  const Violations found = check_budgets_reach_every_key(pages, request(), {"0", "100%"});
  ASSERT_TRUE(finds(found, "a budget that reaches every key takes every key"));
  EXPECT_TRUE(found.front().finding.ends_with("(written 100%)")) << found.front();
  EXPECT_THROW(check_budgets_reach_every_key(planted<Draws>({{"budget", {"3"}}}), request(), {"1"}),
               Error);
}

Violations whole_budget_check(const MaskerUse& masker,
                              const std::string& budget,
                              const Mask* previous = nullptr) {
  const MaskerUse whole = with_argument(masker, *budget_parameter(*masker.type), budget);
  SelectionRequest asked = request();
  asked.previous = previous;
  return check_budget_reaches_every_key(selector_of(Pipeline({whole})), asked,
                                        budget_of(whole, "budget"), grain_of(whole, asked.inputs));
}

TEST(WholeBudget, KeysThatNoBudgetReachesAreFound) {
  const char* rule = "a budget that reaches every key takes every key";
  const MaskerUse pages = planted<WholePages>({{"budget", {"1"}}});
  const MaskerUse best = planted<BestKeys>({{"budget", {"1"}}});
  const Mask previous = random_mask(problem().inputs.visibility, {2, 4}, {.sampled = true}, 2);
  for (const std::string& budget : whole_budgets(130)) {
    EXPECT_TRUE(finds(whole_budget_check(pages, budget), rule)) << budget;
    EXPECT_TRUE(holds(whole_budget_check(best, budget))) << budget;
    EXPECT_TRUE(holds(whole_budget_check(best, budget, &previous))) << budget;
  }
  // The rows see 61 keys or more: 60 reach none of them, 65 the first five, one with 65 keys.
  EXPECT_TRUE(holds(whole_budget_check(pages, "60")));
  EXPECT_TRUE(finds(whole_budget_check(pages, "65"), rule));
}

TEST(WholeBudget, IsOneOfKeysAndNotOfDraws) {
  EXPECT_EQ(budget_parameter(*planted<BestKeys>({{"budget", {"1"}}}).type), 0);
  EXPECT_FALSE(budget_parameter(*planted<Draws>({{"budget", {"1"}}}).type));
  EXPECT_FALSE(budget_parameter(*planted<Coins>().type));
  const MaskerUse total = planted<WholePages>({{"budget", {"9"}}, {"counts", {"total"}}});
  EXPECT_TRUE(budget_of(total, "budget").counts_total);
  EXPECT_FALSE(budget_of(planted<WholePages>({{"budget", {"9"}}}), "budget").counts_total);
}

// ---- The same mask again -----------------------------------------------------------------------

// Selects another key each time that it is called.
class CallCounter final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "call_counter", .summary = "another key each time", .depends_on = sdk::kShape};
  }
  explicit CallCounter(const sdk::Arguments&) {}
  void select_row(const sdk::Row& row) const override {
    static std::atomic<std::int64_t> calls = 0;
    row.add_key(calls++ % row.visible_len());
  }
};

TEST(Repeatability, AMaskerThatCountsItsCallsIsFound) {
  EXPECT_TRUE(finds(
      check_selection_is_repeatable(selector_of(Pipeline({planted<CallCounter>()})), request()),
      "the same is selected again with the same request"));
}

// The first row of each call gets the first key.
class FirstOfCall final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    return {.id = "first_of_call", .summary = "the first row of a call", .depends_on = sdk::kShape};
  }
  explicit FirstOfCall(const sdk::Arguments&) {}
  void select(const maskerade_call& call) const override { sdk::Row(call, 0).add_key(0); }
};

TEST(Repeatability, AMaskerThatSeesItsChunksIsFound) {
  EXPECT_TRUE(finds(
      check_selection_is_repeatable(selector_of(Pipeline({planted<FirstOfCall>()})), request()),
      "the same is selected again with 1 threads and chunks of 1 rows"));
}

TEST(Repeatability, AMaskThatFollowsTheThreadsIsFound) {
  const Selector select = [](const SelectionRequest& asked) {
    return best_keys(asked.threads == 3 ? "6" : "7")(asked);
  };
  const Violations found = check_selection_is_repeatable(select, request());
  EXPECT_TRUE(finds(found, "the same is selected again with 3 threads and chunks of 64 rows"));
  EXPECT_FALSE(finds(found, "the same is selected again with 2 threads and chunks of 64 rows"));
}

TEST(Repeatability, AnExtentThatFollowsTheThreadsIsFound) {
  const Selector select = [](const SelectionRequest& asked) {
    Selection selection =
        selector_of(Pipeline({planted<OffByOne>({{"budget", {"5"}}, {"by", {"nothing"}}})}))(asked);
    if (asked.threads == 2) selection.mask = broadcast(selection.mask, {2, 4});
    return selection;
  };
  EXPECT_TRUE(finds(check_selection_is_repeatable(select, request()),
                    "the same is selected again with 2 threads and chunks of 64 rows"));
}

TEST(Repeatability, WorkThatFollowsTheThreadsOrChunksIsFound) {
  const Selector select = [](const SelectionRequest& asked) {
    Selection selection = best_keys("7")(asked);
    selection.maskers.front().keys_scored += asked.threads == 2 ? 1 : 0;
    selection.maskers.front().bytes_read += asked.options.chunk_rows == 1 ? 1 : 0;
    return selection;
  };
  const Violations found = check_selection_is_repeatable(select, request());
  EXPECT_TRUE(finds(found, "as many keys are scored with 2 threads and chunks of 64 rows"));
  EXPECT_TRUE(finds(found, "as many bytes are read with 3 threads and chunks of 1 rows"));
  EXPECT_FALSE(finds(found, "as many bytes are read with 3 threads and chunks of 64 rows"));
  EXPECT_TRUE(std::all_of(found.begin(), found.end(), is_about_work));
  EXPECT_FALSE(is_about_work({"the same is selected again with the same request", {}, ""}));
}

// ---- Nothing is kept ---------------------------------------------------------------------------

TEST(NothingIsKept, ASelectionThatRemembersOtherDataIsFound) {
  const RandomProblem other({2, 4, 2, 70, 130, 8}, DType::kFloat32, true, 9);
  SelectionRequest other_request = request();
  other_request.inputs = other.inputs;
  // Once it has seen the other problem, it adds a key.
  const auto has_seen_other = std::make_shared<bool>(false);
  const Selector select = [&, has_seen_other](const SelectionRequest& asked) {
    *has_seen_other = *has_seen_other || asked.inputs.k.data == other.inputs.k.data;
    return best_keys(*has_seen_other ? "8" : "7")(asked);
  };
  EXPECT_TRUE(finds(check_nothing_is_kept(select, request(), other_request),
                    "nothing is kept from a selection of other data"));
}

// ---- Undeclared inputs -------------------------------------------------------------------------

// Adds the key of the number of its head or batch entry.
template <bool kOfHead, std::uint32_t kDeclared>
class ByNumber final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "by_number", .summary = "a key by a number", .depends_on = kDeclared};
  }
  explicit ByNumber(const sdk::Arguments&) {}
  void select_row(const sdk::Row& row) const override {
    row.add_key(kOfHead ? row.head() : row.batch());
  }
};
using HeadPeeker = ByNumber<true, sdk::kShape | sdk::kQuery>;
using HeadReader = ByNumber<true, sdk::kShape | sdk::kQuery | sdk::kHead>;
using BatchPeeker = ByNumber<false, sdk::kShape | sdk::kQuery>;
using BatchReader = ByNumber<false, sdk::kShape | sdk::kQuery | sdk::kBatch>;

// Tells heads apart without their numbers: the later ones of a unit get fewer keys.
class PlaceInUnit final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "place_in_unit",
            .summary = "keys by the place of the head in its unit",
            .depends_on = sdk::kShape | sdk::kQuery};
  }
  explicit PlaceInUnit(const sdk::Arguments&) {}
  maskerade_grain grain() const override { return {1, MASKERADE_HEADS_ALL}; }
  void select_row(const sdk::Row& row) const override {
    if (row.number() == 0) row.add_key(0);
  }
};

// Adds the keys whose values have a first component above 0.
class ByValues final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "by_values",
            .summary = "keys by their values",
            .depends_on = sdk::kShape | sdk::kHead | sdk::kBatch | sdk::kValue};
  }
  explicit ByValues(const sdk::Arguments&) {}
  void select_row(const sdk::Row& row) const override {
    const maskerade_matrix& v = row.call().v;
    const auto* values = static_cast<const float*>(v.data) + row.kv_head() * v.head_stride;
    for (std::int64_t key = 0; key < row.visible_len(); ++key) {
      if (values[key * v.row_stride] > 0) row.add_key(key);
    }
  }
};

Violations check_inputs_of(const MaskerUse& masker) {
  return check_undeclared_inputs_do_not_matter(selector_of(Pipeline({masker})), request(),
                                               declared(masker));
}

TEST(UndeclaredInputs, AHeadThatIsLookedAtIsFound) {
  const std::uint32_t without_head = sdk::kShape | sdk::kQuery;
  for (const Violations& found :
       {check_inputs_of(planted<HeadPeeker>()), check_inputs_of(planted<PlaceInUnit>()),
        check_undeclared_inputs_do_not_matter(selector_of(Pipeline({planted<HeadReader>()})),
                                              request(), without_head)}) {
    EXPECT_TRUE(finds(found, "the head, which is not declared, has no influence"));
  }
  EXPECT_TRUE(holds(check_inputs_of(planted<HeadReader>())));
}

TEST(UndeclaredInputs, ABatchEntryThatIsLookedAtIsFound) {
  const std::uint32_t without_batch = sdk::kShape | sdk::kQuery;
  for (const Violations& found :
       {check_inputs_of(planted<BatchPeeker>()),
        check_undeclared_inputs_do_not_matter(selector_of(Pipeline({planted<BatchReader>()})),
                                              request(), without_batch)}) {
    EXPECT_TRUE(finds(found, "the batch entry, which is not declared, has no influence"));
  }
  EXPECT_TRUE(holds(check_inputs_of(planted<BatchReader>())));
}

// The loader refuses an index without declared keys: here the rule is told of a declaration that
// lacks them.
TEST(UndeclaredInputs, KeysThatAnIndexLooksAtAreFound) {
  const MaskerUse masker = planted<PositiveKeys>();
  EXPECT_TRUE(holds(check_inputs_of(masker)));
  EXPECT_TRUE(
      finds(check_undeclared_inputs_do_not_matter(selector_of(Pipeline({masker})), request(),
                                                  declared(masker) & ~std::uint32_t{sdk::kKey}),
            "key, which is not declared, has no influence"));
}

// What is undeclared and asked for fails with a text that says so; any other failure is thrown on.
TEST(UndeclaredInputs, ThatAreAskedForAreFoundWithTheTextOfTheRefusal) {
  const Violations found = check_inputs_of(planted<HeadPeeker>());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found.front().finding.ends_with(
      "it asks for the number of its head, but its descriptor does not declare "
      "MASKERADE_DEPENDS_HEAD; add MASKERADE_DEPENDS_HEAD to depends_on"))
      << found.front().finding;
  const Selector fails = [](const SelectionRequest&) -> Selection {
    throw PluginError("planted.so", "it has no weights");
  };
  EXPECT_THROW(check_undeclared_inputs_do_not_matter(fails, request(), 0), PluginError);
}

// The host hands out no queries, values, random numbers or active keys that are not declared: here
// the rule is told of a declaration that lacks one.
TEST(UndeclaredInputs, QueriesAndActiveKeysThatAreLookedAtAreFound) {
  const std::uint32_t without_query = MASKERADE_DEPENDS_SHAPE | MASKERADE_DEPENDS_KEY;
  const Violations found =
      check_undeclared_inputs_do_not_matter(best_keys("7"), request(), without_query);
  EXPECT_TRUE(finds(found, "query, which is not declared, has no influence"));
  EXPECT_TRUE(finds(found, "what is active, which is not declared, has no influence"));
  EXPECT_FALSE(finds(found, "value, which is not declared, has no influence"));
}

TEST(UndeclaredInputs, ValuesThatAreLookedAtAreFound) {
  const MaskerUse masker = planted<ByValues>();
  EXPECT_TRUE(holds(check_inputs_of(masker)));
  EXPECT_TRUE(
      finds(check_undeclared_inputs_do_not_matter(selector_of(Pipeline({masker})), request(),
                                                  declared(masker) & ~std::uint32_t{sdk::kValue}),
            "value, which is not declared, has no influence"));
}

TEST(UndeclaredInputs, ASeedThatIsLookedAtIsFound) {
  EXPECT_TRUE(
      finds(check_undeclared_inputs_do_not_matter(coins(), request(), MASKERADE_DEPENDS_SHAPE),
            "the seed, which is not declared, has no influence"));
}

TEST(DeclaredInputs, AreSeenWhereTheyChangeAMask) {
  const auto influences = [](const MaskerUse& masker, std::uint32_t further = 0) {
    const std::uint32_t all = declared(masker) | further;
    return influences_of(selector_of(Pipeline({masker})), request(), all, all);
  };
  EXPECT_EQ(influences(planted<HeadReader>()).seen, std::uint32_t{sdk::kHead});
  EXPECT_EQ(influences(planted<HeadReader>()).asked, sdk::kHead | sdk::kQuery);
  EXPECT_EQ(influences(planted<BatchReader>()).seen, std::uint32_t{sdk::kBatch});
  EXPECT_EQ(influences(planted<ByValues>(), sdk::kQuery).seen & (sdk::kValue | sdk::kQuery),
            std::uint32_t{sdk::kValue});
  // Random numbers differ by head and batch entry anyway.
  const Influences random = influences(planted<Coins>(), sdk::kSeed | sdk::kHead);
  EXPECT_EQ(random.asked & (sdk::kSeed | sdk::kHead), std::uint32_t{sdk::kSeed});
  EXPECT_EQ(random.seen, std::uint32_t{sdk::kSeed});
}

TEST(UndeclaredInputs, AreChangedFromNoPreviousMask) {
  const Mask previous = Mask::empty(problem().inputs.visibility);
  SelectionRequest from_previous = request();
  from_previous.previous = &previous;
  EXPECT_THROW(check_undeclared_inputs_do_not_matter(coins(), from_previous, 0), Error);
}

}  // namespace
}  // namespace maskerade::rules
