#include <map>
#include <set>

#include "tests/maskers/deterministic_checks.hpp"

namespace maskerade {
namespace {

struct VerticalSlash {
  std::int64_t verticals = 5;
  std::int64_t slashes = 4;
  std::int64_t last_queries = 16;
  std::string share = "query_head";
  std::string reduce = "sum";

  MaskerUse use() const {
    return maskerade::use("vertical_slash", {{"verticals", std::to_string(verticals)},
                                             {"slashes", std::to_string(slashes)},
                                             {"last_queries", std::to_string(last_queries)},
                                             {"share", share},
                                             {"reduce", reduce}});
  }
};

using Masses = std::map<std::int64_t, double>;  // by key, or by position - key

// The `count` numbers with the most mass.
std::set<std::int64_t> best(const Masses& masses, std::int64_t count) {
  std::vector<std::int64_t> order;
  for (const auto& [number, mass] : masses) order.push_back(number);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return masses.at(a) > masses.at(b); });
  order.resize(std::min(order.size(), static_cast<std::size_t>(count)));
  return {order.begin(), order.end()};
}

void expect_vertical_slash(const VerticalSlash& how, const MaskerProblem& problem) {
  const AttentionShape& shape = problem.shape();
  const Visibility& visibility = problem.inputs().visibility;
  const auto masses_of = [&](std::int64_t b, std::int64_t head) {
    Masses columns;
    Masses diagonals;
    for (std::int64_t i = std::max<std::int64_t>(shape.query_len - how.last_queries, 0);
         i < shape.query_len; ++i) {
      const std::vector<double> weights = softmax_of(problem.logits(b, head, i));
      for (std::int64_t key = 0; key < static_cast<std::int64_t>(weights.size()); ++key) {
        columns[key] += weights[static_cast<std::size_t>(key)];
        diagonals[visibility.position(i) - key] += weights[static_cast<std::size_t>(key)];
      }
    }
    return std::pair(columns, diagonals);
  };
  std::map<std::pair<std::int64_t, std::int64_t>,
           std::pair<std::set<std::int64_t>, std::set<std::int64_t>>>
      chosen;
  expect_keys(run({how.use()}, problem).mask, problem, [&](auto b, auto h, auto i) {
    const auto [first, end] = sharing_heads(shape, how.share, h);
    if (!chosen.contains({b, first})) {
      auto [columns, diagonals] = masses_of(b, first);
      const auto pool = [&](Masses& into, const Masses& more) {
        for (const auto& [number, mass] : more) {
          into[number] = how.reduce == "sum" ? into[number] + mass : std::max(into[number], mass);
        }
      };
      for (std::int64_t head = first + 1; head < end; ++head) {
        const auto [more_columns, more_diagonals] = masses_of(b, head);
        pool(columns, more_columns);
        pool(diagonals, more_diagonals);
      }
      chosen[{b, first}] = {best(columns, how.verticals), best(diagonals, how.slashes)};
    }
    const auto& [columns, diagonals] = chosen[{b, first}];
    std::vector<std::int64_t> keys;
    for (std::int64_t key = 0; key < visibility.end(i); ++key) {
      if (columns.contains(key) || diagonals.contains(visibility.position(i) - key)) {
        keys.push_back(key);
      }
    }
    return keys;
  });
}

TEST(VerticalSlash, TakesTheColumnsAndDiagonalsWithTheMostMass) {
  for (const AttentionShape& shape : edge_shapes()) {
    for (const bool causal : {false, true}) {
      const MaskerProblem problem(shape, {.causal = causal});
      expect_vertical_slash({}, problem);
      expect_vertical_slash({.verticals = 20, .slashes = 0, .last_queries = 1000}, problem);
      expect_vertical_slash({.verticals = 0, .slashes = 9, .last_queries = 1}, problem);
    }
  }
}

TEST(VerticalSlash, MoreQueriesThanKeysWhenNotCausal) {
  expect_vertical_slash({.slashes = 9}, MaskerProblem({1, 2, 2, 70, 50, 8}));
  expect_vertical_slash({.slashes = 9, .last_queries = 70}, MaskerProblem({1, 2, 2, 70, 50, 8}));
}

TEST(VerticalSlash, SharingHeadsPoolTheirMasses) {
  const MaskerProblem problem({2, 6, 2, 70, 150, 8}, {.causal = true});
  for (const std::string share : {"kv_head", "all"}) {
    for (const std::string reduce : {"sum", "max"}) {
      expect_vertical_slash({.share = share, .reduce = reduce}, problem);
    }
  }
}

TEST(VerticalSlash, AllColumnsOrAllDiagonalsAreEveryKey) {
  const MaskerProblem problem({1, 8, 1, 130, 203, 8}, {.causal = true});
  const Mask columns = run({VerticalSlash{.verticals = 1000, .slashes = 0}.use()}, problem).mask;
  const Mask diagonals = run({VerticalSlash{.verticals = 0, .slashes = 1000}.use()}, problem).mask;
  EXPECT_EQ(density(columns), 1);
  EXPECT_EQ(columns, diagonals);
  expect_dense_attention(columns, problem);
}

TEST(VerticalSlash, EqualMassesAreTakenFromTheFirstKeyAndTheShortestDistanceOn) {
  const MaskerProblem problem({1, 1, 1, 1, 40, 8}, {.causal = true, .equal_keys = 40});
  const Mask mask = run({VerticalSlash{.verticals = 2, .slashes = 3}.use()}, problem).mask;
  EXPECT_EQ(keys_of(mask, 0, 0, 0), (std::vector<std::int64_t>{0, 1, 37, 38, 39}));
}

TEST(VerticalSlash, ScoresTheLastQueriesAlone) {
  const MaskerReport report = report_of(
      run({VerticalSlash{}.use()}, MaskerProblem({1, 2, 1, 200, 200, 8})), "vertical_slash");
  EXPECT_EQ(report.keys_scored, 2 * 16 * 200);
}

TEST(VerticalSlash, ReadsTheKeysOfAGroupOnceAtDecode) {
  expect_keys_read_once_at_decode("vertical_slash", {{"verticals", "9"}, {"slashes", "5"}});
}

TEST(VerticalSlash, KeepsTheRulesOfASelection) {
  for (const std::string share : {"query_head", "kv_head"}) {
    expect_selection_rules({VerticalSlash{.last_queries = 100, .share = share}.use()},
                           MaskerProblem({2, 4, 2, 230, 300, 8}, {.causal = true}));
  }
  // Positions below 0 are of the same unit.
  expect_selection_rules({VerticalSlash{.last_queries = 100}.use()},
                         MaskerProblem({1, 2, 2, 230, 90, 8}));
}

TEST(VerticalSlash, BadArgumentsSayWhatWouldBeRight) {
  EXPECT_EQ(error_of("vertical_slash", {{"", "8"}}),
            "\"vertical_slash\" needs \"slashes\" (count): diagonals (distances from query to key) "
            "to select");
  EXPECT_EQ(error_of("vertical_slash", {{"", "8"}, {"slashes", "8"}, {"last_queries", "0"}}),
            "\"last_queries\" is 0; it must be >= 1");
}

}  // namespace
}  // namespace maskerade
