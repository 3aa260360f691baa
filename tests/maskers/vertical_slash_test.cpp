#include <cstring>
#include <functional>
#include <map>
#include <set>

#include "tests/maskers/deterministic_checks.hpp"

namespace maskerade {
namespace {

struct VerticalSlash {
  std::int64_t verticals = 5;
  std::int64_t slashes = 4;
  std::int64_t last_queries = 16;
  std::int64_t first_verticals = 0;
  std::int64_t near_slashes = 0;
  std::int64_t min_verticals = 0;
  std::int64_t min_slashes = 0;
  std::string share = "query_head";
  std::string reduce = "sum";

  MaskerUse use() const {
    return maskerade::use("vertical_slash", {{"verticals", std::to_string(verticals)},
                                             {"slashes", std::to_string(slashes)},
                                             {"last_queries", std::to_string(last_queries)},
                                             {"first_verticals", std::to_string(first_verticals)},
                                             {"near_slashes", std::to_string(near_slashes)},
                                             {"min_verticals", std::to_string(min_verticals)},
                                             {"min_slashes", std::to_string(min_slashes)},
                                             {"share", share},
                                             {"reduce", reduce}});
  }
};

using Masses = std::map<std::int64_t, double>;  // by key, or by position - key

// The `count` numbers with the most mass, after those among them that come `before` all others: as
// many as there are, in the order of rank(number).
std::set<std::int64_t> best(const Masses& masses,
                            std::int64_t count,
                            std::int64_t before,
                            const std::function<std::int64_t(std::int64_t)>& rank) {
  std::vector<std::int64_t> order;
  for (const auto& [number, mass] : masses) order.push_back(number);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return rank(a) < rank(b); });
  const auto first = std::min(order.size(), static_cast<std::size_t>(before));
  std::vector<std::int64_t> others(order.begin() + static_cast<std::ptrdiff_t>(first), order.end());
  order.resize(first);
  std::sort(others.begin(), others.end());
  std::stable_sort(others.begin(), others.end(),
                   [&](auto a, auto b) { return masses.at(a) > masses.at(b); });
  order.insert(order.end(), others.begin(), others.end());
  order.resize(std::min(order.size(), static_cast<std::size_t>(count)));
  return {order.begin(), order.end()};
}

void expect_vertical_slash(const VerticalSlash& how, const MaskerProblem& problem) {
  const AttentionShape& shape = problem.shape();
  const Visibility& visibility = problem.inputs().visibility;
  const std::int64_t latest = visibility.position(shape.query_len - 1);
  const auto masses_of = [&](std::int64_t b, std::int64_t head) {
    Masses columns;
    Masses diagonals;
    // Without mass as well, they may be taken.
    for (std::int64_t key = 0; key < shape.key_len; ++key) columns[key] = 0;
    const std::int64_t earliest =
        visibility.is_causal() ? 0 : visibility.position(0) - shape.key_len + 1;
    for (std::int64_t d = earliest; d <= latest; ++d) diagonals[d] = 0;
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
      chosen[{b, first}] = {
          best(columns, std::max(how.verticals, how.min_verticals), how.first_verticals,
               [](std::int64_t key) { return key; }),
          best(diagonals, std::max(how.slashes, how.min_slashes), how.near_slashes,
               // 0, 1, -1, 2, -2, ...
               [](std::int64_t d) { return d > 0 ? 2 * d : -2 * d + (d < 0 ? 1 : 0); })};
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

TEST(VerticalSlash, FirstColumnsAndNearestDiagonalsRankFirstWithinTheCounts) {
  for (const bool causal : {false, true}) {
    const MaskerProblem problem({1, 4, 2, 70, 150, 8}, {.causal = causal});
    for (const std::int64_t count : {3, 10, 40, 1000}) {
      expect_vertical_slash(
          {.verticals = count, .slashes = count, .first_verticals = 7, .near_slashes = 20},
          problem);
      expect_vertical_slash({.verticals = 2,
                             .slashes = 1,
                             .first_verticals = 7,
                             .near_slashes = 6,
                             .min_verticals = count,
                             .min_slashes = count},
                            problem);
    }
  }
}

// As at run time in the published code: 30 columns and 50 of the nearest 100 diagonals at least.
TEST(VerticalSlash, RanksAndTakesAtLeastWhatThePublishedCodeDoes) {
  const MaskerProblem problem({1, 2, 1, 300, 400, 8}, {.causal = true});
  const auto published = [](std::int64_t verticals, std::int64_t slashes) {
    return VerticalSlash{.verticals = verticals,
                         .slashes = slashes,
                         .last_queries = 64,
                         .first_verticals = 30,
                         .near_slashes = 100,
                         .min_verticals = 30,
                         .min_slashes = 50};
  };
  for (const auto& [verticals, slashes] :
       {std::pair(0, 0), std::pair(29, 49), std::pair(60, 80), std::pair(60, 140)}) {
    const Mask by_default = run({use("vertical_slash", {{"verticals", std::to_string(verticals)},
                                                        {"slashes", std::to_string(slashes)}})},
                                problem)
                                .mask;
    EXPECT_EQ(by_default, run({published(verticals, slashes).use()}, problem).mask);
    expect_vertical_slash(published(verticals, slashes), problem);
    for (std::int64_t key = 0; key < 30; ++key) {
      EXPECT_EQ(by_default.probability(0, 0, 299, key), 1) << key;
    }
    for (std::int64_t key = 350; key < 400; ++key) {
      EXPECT_EQ(by_default.probability(0, 0, 299, key), 1) << key;
    }
  }
  const Mask least =
      run({use("vertical_slash", {{"verticals", "1"}, {"slashes", "1"}})}, problem).mask;
  EXPECT_EQ(keys_of(least, 0, 0, 299).size(), 30U + 50U);
}

// The last queries are those at the last positions, in whatever order the queries come.
TEST(VerticalSlash, TheOrderOfTheQueriesDoesNotMatter) {
  const MaskerProblem problem({1, 2, 1, 60, 60, 8}, {.causal = true});
  std::vector<std::int64_t> positions(60);
  for (std::int64_t i = 0; i < 60; ++i) positions[static_cast<std::size_t>(i)] = i * 37 % 60;
  AttentionInputs inputs = problem.inputs();
  Tensor shuffled = rules::normal_tensor(DType::kFloat32, 1, 2, 60, 8, 1);
  for (std::int64_t head = 0; head < 2; ++head) {
    for (std::int64_t i = 0; i < 60; ++i) {
      const std::vector<float> row = MaskerProblem::row_of(problem.inputs().q, 0, head,
                                                           positions[static_cast<std::size_t>(i)]);
      std::memcpy(const_cast<void*>(shuffled.view().row(0, head, i)), row.data(),
                  row.size() * sizeof(float));
    }
  }
  inputs.q = shuffled.view();
  inputs.visibility = Visibility::at_positions(positions, 60, true);
  const Threads threads(1);
  const VerticalSlash how{.last_queries = 9};
  const Mask in_order = run({how.use()}, problem).mask;
  const Mask mask = Pipeline({how.use()}).prepare(inputs, {}, threads).select(threads).mask;
  for (std::int64_t head = 0; head < 2; ++head) {
    for (std::int64_t i = 0; i < 60; ++i) {
      EXPECT_EQ(keys_of(mask, 0, head, i),
                keys_of(in_order, 0, head, positions[static_cast<std::size_t>(i)]));
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
  expect_keys_read_once_at_decode("vertical_slash",
                                  {{"verticals", "9"}, {"slashes", "5"}, {"min_slashes", "0"}});
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
