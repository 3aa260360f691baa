#include "experiments/match/search.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// The result of a search, and the steps that it probed in order.
struct SearchTrace {
  SearchResult result;
  std::vector<std::int64_t> steps;
};
// Searches with the value function(step); function may return nullopt to refuse a step.
template <typename Function>
SearchTrace search_for(double target,
                       const SearchRange& range,
                       Function&& function,
                       double tolerance = 0.01) {
  SearchTrace trace;
  std::int64_t refused = 0;
  trace.result = search(range, target, tolerance, [&](std::int64_t step) -> std::optional<double> {
    trace.steps.push_back(step);
    const std::optional<double> value = function(static_cast<double>(step));
    refused += value ? 0 : 1;
    return value;
  });
  EXPECT_EQ(trace.result.probes, static_cast<std::int64_t>(trace.steps.size()) - refused);
  return trace;
}

TEST(Search, FindsWhereARisingLineMeetsTheTarget) {
  const SearchTrace found =
      search_for(0.1, {0, 32768}, [](double step) { return 0.02 + step / 40000; });
  EXPECT_EQ(found.result.status, MatchStatus::kMatched);
  EXPECT_NEAR(found.result.reached, 0.1, 0.001);
  EXPECT_EQ(found.result.step, 3200);
  EXPECT_EQ(found.result.probes, 3);  // the ends, and the line through them
  EXPECT_EQ(found.result.least, 0.02);
  EXPECT_EQ(found.result.greatest, 0.02 + 32768.0 / 40000);
}

TEST(Search, FindsWhereAFallingCurveMeetsTheTarget) {
  const SearchTrace found = search_for(0.05, {1, 99'999'999}, [](double step) {
    return 1 / (1 + 1e-10 * step * step);  // 0.05 at 435,890
  });
  EXPECT_EQ(found.result.status, MatchStatus::kMatched);
  EXPECT_NEAR(static_cast<double>(found.result.step), 435'890, 4500);
  EXPECT_LE(found.result.probes, 2 + 2 * 27);
}

TEST(Search, StepsThatMissTheTargetGiveTheNearerNeighbour) {
  for (const auto& [target, step] : {std::pair(0.24, 9), std::pair(0.29, 10)}) {
    const SearchTrace found = search_for(
        target, {0, 64}, [](double at) { return at < 10 ? 0.2 : 0.3; }, 0.001);
    EXPECT_EQ(found.result.status, MatchStatus::kNearest);
    EXPECT_EQ(found.result.reached, step == 9 ? 0.2 : 0.3);
    EXPECT_EQ(found.result.step >= 10, step == 10);
    EXPECT_LE(found.result.probes, 2 + 2 * 6);
  }
}

TEST(Search, StopsAtAStepOfAFineRange) {
  const SearchTrace found = search_for(
      0.25, {0, 100'000'000}, [](double at) { return at < 12'345'678 ? 0.2 : 0.4; }, 0.001);
  EXPECT_EQ(found.result.status, MatchStatus::kNearest);
  EXPECT_EQ(found.result.reached, 0.2);
  EXPECT_EQ(found.result.probes, 2 + 10);
}

TEST(Search, FindsTheVeryNumberOfAWholeRange) {
  for (std::int64_t wanted = 0; wanted <= 100; ++wanted) {
    const SearchTrace found = search_for(
        static_cast<double>(wanted) + 7, {0, 100}, [](double step) { return step + 7; }, 1e-9);
    EXPECT_EQ(found.result.status, MatchStatus::kMatched);
    EXPECT_EQ(found.result.step, wanted);
  }
}

TEST(Search, TargetBeyondBothEndsIsUnreachable) {
  const auto line = [](double step) { return 0.1 + 0.01 * step; };
  const SearchTrace above = search_for(0.5, {0, 10}, line);
  EXPECT_EQ(above.result.status, MatchStatus::kUnreachable);
  EXPECT_EQ(above.result.step, 10);
  EXPECT_EQ(above.steps, (std::vector<std::int64_t>{0, 10}));
  EXPECT_EQ(above.result.least, 0.1);
  EXPECT_NEAR(above.result.greatest, 0.2, 1e-12);
  const SearchTrace below = search_for(0.05, {0, 10}, line);
  EXPECT_EQ(below.result.status, MatchStatus::kUnreachable);
  EXPECT_EQ(below.result.step, 0);
}

TEST(Search, FlatIsUnreachableAndASingleValueIsTaken) {
  const auto flat = [](double) { return 0.3; };
  EXPECT_EQ(search_for(0.2, {0, 1000}, flat).result.status, MatchStatus::kUnreachable);
  EXPECT_EQ(search_for(0.2, {0, 1000}, flat).result.probes, 2);
  EXPECT_EQ(search_for(0.2, {5, 5}, flat).result.status, MatchStatus::kUnreachable);
  EXPECT_EQ(search_for(0.2, {5, 5}, flat).result.step, 5);
  EXPECT_EQ(search_for(0.3, {5, 5}, flat).result.status, MatchStatus::kMatched);
}

TEST(Search, FirstEndThatMatchesNeedsOneProbe) {
  const SearchTrace found = search_for(1, {3, 1000}, [](double step) { return step - 2; });
  EXPECT_EQ(found.steps, (std::vector<std::int64_t>{3}));
  EXPECT_EQ(found.result.status, MatchStatus::kMatched);
}

TEST(Search, DoublingStaysNearTheTarget) {
  const SearchTrace found = search_for(
      100, {1, 1'000'000'000, true}, [](double step) { return step * step / 10; }, 0.001);
  EXPECT_EQ(found.result.status, MatchStatus::kNearest);
  EXPECT_EQ(found.result.step, 32);  // 102.4; 31 gives 96.1
  for (const std::int64_t step : found.steps) EXPECT_LE(step, 33);
}

TEST(Search, DoublingReachesTheEndAndStopsWhereItLeadsAway) {
  const SearchTrace end = search_for(1e6, {0, 1000, true}, [](double step) { return step; });
  EXPECT_EQ(end.result.status, MatchStatus::kUnreachable);
  EXPECT_EQ(end.result.step, 1000);
  const SearchTrace away = search_for(0.5, {0, 1000, true}, [](double step) { return 1 + step; });
  EXPECT_EQ(away.result.status, MatchStatus::kUnreachable);
  EXPECT_EQ(away.result.step, 0);
  EXPECT_EQ(away.steps, (std::vector<std::int64_t>{0, 1, 2}));
}

TEST(Search, DoublingPassesAFlatBeginning) {
  const SearchTrace found =
      search_for(5, {0, 4096, true}, [](double step) { return step < 100 ? 0.0 : step / 100; });
  EXPECT_EQ(found.result.status, MatchStatus::kMatched);
  EXPECT_NEAR(static_cast<double>(found.result.step), 500, 5);
}

// On a curve with waves and with noise at each step the search ends, and its result is the probe
// nearest to the target.
// What draws with replacement reach: more of it with each, and all with none.
TEST(Search, GoesBeyondTheLastStepToTheLimit) {
  const auto saturating = [](double step) { return 1 - std::exp(-step / 1000); };
  const SearchRange range{.first = 0, .last = 512, .limit = 1'000'000};
  const SearchTrace found = search_for(0.99, range, saturating);
  EXPECT_EQ(found.result.status, MatchStatus::kMatched);
  EXPECT_NEAR(found.result.reached, 0.99, 0.0099);
  EXPECT_GT(found.result.step, 512);
  EXPECT_LE(found.result.probes, 8);
  const SearchTrace beyond = search_for(2, range, saturating);
  EXPECT_EQ(beyond.result.status, MatchStatus::kUnreachable);
  EXPECT_EQ(beyond.steps.back(), 1'000'000);
  // Within the range nothing beyond it is probed, nor where the values lead away from the target.
  for (const double target : {0.2, 0.4}) {
    for (const std::int64_t step : search_for(target, range, saturating).steps) {
      EXPECT_LE(step, 512);
    }
  }
  for (const std::int64_t step :
       search_for(0.1, range, [&](double at) { return 0.5 + saturating(at); }).steps) {
    EXPECT_LE(step, 512);
  }
}

TEST(Search, OneStepOfAWiderLimitIsABeginning) {
  const SearchTrace found =
      search_for(40, {.first = 1, .last = 1, .limit = 100}, [](double step) { return step; });
  EXPECT_EQ(found.result.step, 40);
  EXPECT_EQ(found.result.status, MatchStatus::kMatched);
}

TEST(Search, WavesAndNoiseGiveTheNearestProbe) {
  for (const double target : {0.1, 0.3, 0.55, 0.8}) {
    for (int seed = 0; seed < 50; ++seed) {
      std::vector<double> values;
      const SearchTrace found = search_for(
          target, {0, 10'000},
          [&](double step) {
            const double wave = 0.2 * std::sin(step / 300 + seed);
            const double noise = 0.1 * std::sin(step * 12.9898 * (seed + 1));
            values.push_back(step / 10'000 + wave + noise);
            return values.back();
          },
          1e-6);
      EXPECT_LE(found.result.probes, 2 + 2 * 14);
      for (const double value : values) {
        EXPECT_GE(std::abs(value - target), std::abs(found.result.reached - target));
      }
    }
  }
}

TEST(Search, InfinityIsFarAwayAndNaNAnError) {
  const double infinity = std::numeric_limits<double>::infinity();
  const SearchTrace found =
      search_for(5, {0, 64}, [&](double step) { return step > 20 ? infinity : step; });
  EXPECT_EQ(found.result.step, 5);
  EXPECT_THROW(search_for(5, {0, 64}, [](double) { return std::nan(""); }), Error);
}

TEST(Search, EndsThatAreRefusedMoveInwards) {
  const auto inside = [](double step) {
    return step < 2 || step > 90 ? std::nullopt : std::optional(step);
  };
  const SearchTrace found = search_for(50, {1, 100}, inside);
  EXPECT_EQ(found.result.status, MatchStatus::kMatched);
  EXPECT_EQ(found.result.step, 50);
  EXPECT_EQ(found.steps, (std::vector<std::int64_t>{1, 2, 100, 99, 97, 93, 85, 50}));
  const SearchTrace doubling = search_for(8, {1, 64, true}, inside);
  EXPECT_EQ(doubling.result.step, 8);
  EXPECT_EQ(doubling.steps.front(), 1);
  EXPECT_THROW(search_for(5, {0, 64}, [](double) { return std::optional<double>(); }), Error);
  EXPECT_THROW(
      search_for(5.5, {0, 64},
                 [](double step) { return step == 6 ? std::nullopt : std::optional(step); }),
      Error);
}

}  // namespace
}  // namespace maskerade
