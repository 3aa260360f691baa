#include "experiments/stress/cell_messages.hpp"

#include <gtest/gtest.h>

#include "framework/base/error.hpp"
#include "tests/experiments/stress/stress_for_test.hpp"

namespace maskerade::stress {
namespace {

// Every member differs from its default.
StressCell unusual_cell(const Catalog& catalog) {
  StressCell cell;
  cell.maskers = {{.type = catalog.find("sink"), .given = {}},
                  {.type = catalog.find("vertical_slash"),
                   .given = {{.name = "vertical", .values = {"3"}},
                             {.name = "slash", .values = {"5%", "2"}, .is_list = true}},
                   .reference = nullptr},
                  {.type = catalog.find("quest"),
                   .given = {{.name = "budget", .values = {"5% of visible"}}},
                   .reference = catalog.find("quest")}};
  cell.problem = {.shape = {2, 6, 3, 4, 5, 16},
                  .dtype = DType::kBFloat16,
                  .causal = true,
                  .kind = rules::DataKind::kHeavyKeys,
                  .seed = 0xFFFFFFFFFFFFFFF0U,
                  .equal_keys = 3,
                  .key_sigma = 0.1};
  cell.previous = rules::PreviousMask::kFifth;
  cell.mask_seed = 77;
  cell.threads = 3;
  cell.chunk_rows = 7;
  cell.device = "cuda";
  return cell;
}

TEST(CellMessages, BringACellWhole) {
  const Catalog catalog = catalog_with();
  const StressCell cell = unusual_cell(catalog);
  const CheckRequest sent{.cell = cell, .invariant = Invariant::kIndex};
  const CheckRequest received = request_of(message_of(sent), catalog, catalog);
  EXPECT_EQ(to_string(received.cell), to_string(cell));
  EXPECT_EQ(received.invariant, Invariant::kIndex);
  EXPECT_EQ(received.cell.problem.equal_keys, 3);
  EXPECT_EQ(received.cell.problem.key_sigma, 0.1);
  ASSERT_EQ(received.cell.maskers.size(), 3U);
  EXPECT_EQ(received.cell.maskers[0].reference, nullptr);
  EXPECT_EQ(received.cell.maskers[2].reference, catalog.find("quest"));
  EXPECT_TRUE(received.cell.maskers[1].given[1].is_list);
  EXPECT_EQ(message_of(received), message_of(sent));
  EXPECT_EQ(request_of(message_of(CheckRequest{.cell = cell}), catalog, catalog).invariant,
            std::nullopt);
}

TEST(CellMessages, BringWhatWasFound) {
  const Catalog catalog = catalog_with();
  const StressCell cell = unusual_cell(catalog);
  const rules::Violations violations = {
      {"a rule", {.batch = 1, .head = 2, .query = 3, .key = 4}, "a finding"},
      {"another", {}, "more"}};
  const CellOutcome outcome{.refusal = "no",
                            .checked = {Invariant::kDeclared, Invariant::kMasks},
                            .failures = {{Invariant::kMasks, cell.first_maskers(2), violations}}};
  const CellOutcome received = outcome_of(message_of(outcome), cell);
  EXPECT_EQ(received.refusal, "no");
  EXPECT_EQ(received.checked, outcome.checked);
  ASSERT_EQ(received.failures.size(), 1U);
  EXPECT_EQ(received.failures[0].invariant, Invariant::kMasks);
  EXPECT_EQ(to_string(received.failures[0].cell), to_string(cell.first_maskers(2)));
  EXPECT_EQ(received.failures[0].violations, violations);
  EXPECT_EQ(found_of(message_of(std::optional(violations))), violations);
  EXPECT_EQ(found_of(message_of(std::optional(rules::Violations()))), rules::Violations());
  EXPECT_EQ(found_of(message_of(std::optional<rules::Violations>())), std::nullopt);
}

TEST(CellMessages, ThatNobodySentAreErrors) {
  const Catalog catalog = catalog_with();
  EXPECT_THROW(request_of("{}", catalog, catalog), Error);
  EXPECT_THROW(
      request_of(message_of(CheckRequest{.cell = unusual_cell(catalog)}), Catalog(), Catalog()),
      Error);
}

}  // namespace
}  // namespace maskerade::stress
