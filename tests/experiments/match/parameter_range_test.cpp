#include "experiments/match/parameter_range.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace maskerade {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

maskerade_parameter parameter_of(std::uint32_t unit,
                                 double minimum,
                                 double maximum,
                                 std::uint32_t flags = 0) {
  return {.struct_size = sizeof(maskerade_parameter),
          .unit = unit,
          .flags = flags,
          .name = "x",
          .default_value = nullptr,
          .minimum = minimum,
          .maximum = maximum,
          .choices = nullptr,
          .doc = ""};
}

// The first and the last value of a range, as a user would write them.
struct Ends {
  std::string first;
  std::string last;
  friend bool operator==(const Ends&, const Ends&) = default;
};
Ends ends(const maskerade_parameter& parameter, std::uint32_t basis = MASKERADE_TOKENS_COUNT) {
  maskerade_value given{};
  given.basis = basis;
  const ParameterRange range(parameter, given, 512);
  return {range.text(range.steps().first), range.text(range.steps().last)};
}

TEST(ParameterRange, TokensGoFromTheMinimumToEveryKey) {
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_TOKENS, 0, kInfinity)), (Ends{"0", "512"}));
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_TOKENS, 1, 100)), (Ends{"1", "100"}));
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_TOKENS, 0, kInfinity), MASKERADE_TOKENS_OF_KEYS),
            (Ends{"0", "512"}));
}

// A greatest number beyond the keys says that it counts what may be more than they are.
TEST(ParameterRange, TokensGoBeyondTheKeysToAStatedMaximum) {
  const auto steps = [](double minimum, double maximum, std::uint32_t flags = 0) {
    return ParameterRange(parameter_of(MASKERADE_UNIT_TOKENS, minimum, maximum, flags), {}, 512)
        .steps();
  };
  EXPECT_EQ(steps(0, 1e6).last, 512);
  EXPECT_EQ(steps(0, 1e6).limit, 1'000'000);
  EXPECT_EQ(steps(0, 1e6, MASKERADE_MAXIMUM_EXCLUDED).limit, 999'999);
  EXPECT_LE(steps(0, 100).limit, steps(0, 100).last);
  EXPECT_EQ(steps(0, kInfinity).limit, 0);
}

TEST(ParameterRange, ShareOfTheVisibleKeysStaysOne) {
  const auto parameter = parameter_of(MASKERADE_UNIT_TOKENS, 0, kInfinity);
  EXPECT_EQ(ends(parameter, MASKERADE_TOKENS_OF_VISIBLE),
            (Ends{"0% of visible", "100% of visible"}));
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_TOKENS, 1, 9), MASKERADE_TOKENS_OF_VISIBLE).first,
            "0.000001% of visible");
}

TEST(ParameterRange, SharesLeaveOutExcludedEnds) {
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_SHARE, 0, 1)), (Ends{"0%", "100%"}));
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_SHARE, 0, 1,
                              MASKERADE_MINIMUM_EXCLUDED | MASKERADE_MAXIMUM_EXCLUDED)),
            (Ends{"0.000001%", "99.999999%"}));
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_SHARE, 0.25, 0.5)), (Ends{"25%", "50%"}));
}

TEST(ParameterRange, CountsDoubleUpToTheirMaximumOrEveryKey) {
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_COUNT, 1, 4096)), (Ends{"1", "4096"}));
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_BLOCKS, 0, kInfinity)), (Ends{"0", "512"}));
  const ParameterRange range(parameter_of(MASKERADE_UNIT_COUNT, 1, 9), {}, 512);
  EXPECT_TRUE(range.steps().doubles);
}

TEST(ParameterRange, NumbersAreCutIntoMillionths) {
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_NUMBER, -1, 3)), (Ends{"-1", "3"}));
  EXPECT_EQ(ends(parameter_of(MASKERADE_UNIT_NUMBER, 0, 10, MASKERADE_MINIMUM_EXCLUDED)).first,
            "1e-05");
}

// A parameter table accepts both ends of the range that is made for its parameter.
TEST(ParameterRange, GivesWhatTheTableAccepts) {
  for (const maskerade_parameter& parameter :
       {parameter_of(MASKERADE_UNIT_TOKENS, 2, 1e6), parameter_of(MASKERADE_UNIT_COUNT, 1, 64),
        parameter_of(MASKERADE_UNIT_SHARE, 0, 1,
                     MASKERADE_MINIMUM_EXCLUDED | MASKERADE_MAXIMUM_EXCLUDED),
        parameter_of(MASKERADE_UNIT_NUMBER, 0, 0.3,
                     MASKERADE_MINIMUM_EXCLUDED | MASKERADE_MAXIMUM_EXCLUDED)}) {
    maskerade_masker_descriptor masker{};
    masker.id = "m";
    masker.parameters = &parameter;
    masker.parameter_count = 1;
    const auto [first, last] = ends(parameter);
    for (const std::string& text : {first, last}) {
      EXPECT_NO_THROW(bind_arguments(masker, {{"x", {text}}})) << text;
    }
  }
}

TEST(SearchObstacle, SaysWhatCannotBeSearched) {
  EXPECT_EQ(search_obstacle(parameter_of(MASKERADE_UNIT_TOKENS, 0, kInfinity)), "");
  EXPECT_EQ(search_obstacle(parameter_of(MASKERADE_UNIT_FILE, 0, 0)), "is a file");
  EXPECT_EQ(search_obstacle(parameter_of(MASKERADE_UNIT_CHOICE, 0, 0)), "is a choice");
  EXPECT_EQ(search_obstacle(parameter_of(MASKERADE_UNIT_SHARE, 0, 1, MASKERADE_LIST)),
            "takes a list");
  EXPECT_EQ(search_obstacle(parameter_of(MASKERADE_UNIT_NUMBER, 0, kInfinity)),
            "is a number without a least and a greatest value");
}

}  // namespace
}  // namespace maskerade
