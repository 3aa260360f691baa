#include "framework/plugin/parameters.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <string>
#include <string_view>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A masker with one parameter of every unit.
const maskerade_masker_descriptor& every_unit() {
  static const char* const choices[] = {"sum", "max", nullptr};
  const auto row = [](std::uint32_t unit, std::uint32_t flags, const char* name,
                      const char* default_value, double minimum, double maximum) {
    return maskerade_parameter{.struct_size = sizeof(maskerade_parameter),
                               .unit = unit,
                               .flags = flags,
                               .name = name,
                               .default_value = default_value,
                               .minimum = minimum,
                               .maximum = maximum,
                               .choices = unit == MASKERADE_UNIT_CHOICE ? choices : nullptr,
                               .doc = "what it is"};
  };
  static const maskerade_parameter table[] = {
      row(MASKERADE_UNIT_TOKENS, 0, "budget", nullptr, 1, kInfinity),
      row(MASKERADE_UNIT_SHARE, MASKERADE_MINIMUM_EXCLUDED, "mass", "0.9", 0, 1),
      row(MASKERADE_UNIT_COUNT, 0, "page_size", "16", 1, 4096),
      row(MASKERADE_UNIT_BLOCKS, MASKERADE_LIST, "rates", "1", 0, kInfinity),
      row(MASKERADE_UNIT_NUMBER, 0, "temperature", "0.3", -kInfinity, kInfinity),
      row(MASKERADE_UNIT_CHOICE, 0, "reduce", "sum", 0, 0)};
  static const maskerade_masker_descriptor masker = {
      .id = "every", .parameters = table, .parameter_count = std::size(table)};
  return masker;
}

Arguments bind(const std::string& name, const std::string& value) {
  std::vector<GivenParameter> given;
  if (name != "budget") given.push_back({"budget", {"8"}});
  given.push_back({name, {value}});
  return bind_arguments(every_unit(), given);
}

// The argument of a parameter of every_unit(), by its name.
const maskerade_argument& argument(const Arguments& bound, std::string_view name) {
  std::size_t i = 0;
  while (name != every_unit().parameters[i].name) ++i;
  return bound.view().at(i);
}

maskerade_value value_of(const std::string& name, const std::string& text) {
  const Arguments bound = bind(name, text);
  return *argument(bound, name).values;
}

// The text of the only argument of a masker with one parameter.
std::string only_text(const Arguments& bound) { return bound.view().front().values->text; }

std::string refusal(const std::vector<GivenParameter>& given) {
  try {
    bind_arguments(every_unit(), given);
  } catch (const ParameterError& error) {
    return error.what();
  }
  return "(accepted)";
}

std::string refusal(const std::string& name, const std::string& value) {
  try {
    bind(name, value);
  } catch (const ParameterError& error) {
    EXPECT_EQ(error.parameter(), name);
    return error.what();
  }
  return "(accepted)";
}

TEST(Tokens, PercentagesAreExactAndFloored) {
  const maskerade_value share = value_of("budget", "29%");
  EXPECT_EQ(maskerade_tokens_of(&share, 100, 7), 29);  // 0.29 * 100 is 28.999... in float64
  for (std::int64_t percent = 1; percent <= 100; ++percent) {
    const maskerade_value value = value_of("budget", std::to_string(percent) + "%");
    for (const std::int64_t key_len : {1, 7, 99, 100, 32768, 131072}) {
      EXPECT_EQ(maskerade_tokens_of(&value, key_len, 0), percent * key_len / 100);
    }
  }
  const maskerade_value fine = value_of("budget", "0.000001%");
  EXPECT_EQ(maskerade_tokens_of(&fine, 99'999'999, 0), 0);
  EXPECT_EQ(maskerade_tokens_of(&fine, 100'000'000, 0), 1);
  EXPECT_EQ(maskerade_tokens_of(&fine, (std::int64_t{1} << 36) - 1, 0), 687);
}

TEST(Tokens, CountOfKeysOrShareOfVisibleKeys) {
  const maskerade_value whole = value_of("budget", "128");
  EXPECT_EQ(maskerade_tokens_of(&whole, 10, 5), 128);
  const maskerade_value visible = value_of("budget", "50% of visible");
  EXPECT_EQ(maskerade_tokens_of(&visible, 1000, 31), 15);
  const maskerade_value keys = value_of("budget", "50% of keys");
  EXPECT_EQ(maskerade_tokens_of(&keys, 1000, 31), 500);
}

TEST(Tokens, ABareFractionShowsBothSpellings) {
  EXPECT_EQ(
      refusal("budget", "0.02"),
      "\"budget\" is 0.02, a bare number: write 2% for that share of key_len, or a whole number "
      "of tokens");
}

TEST(Tokens, ANumberThatIsNoShareIsNotTakenForOne) {
  const std::string rule =
      "; it takes a whole number of tokens (128) or a percentage of key_len with at most six "
      "decimals (2%, 12.5%)";
  EXPECT_EQ(refusal("budget", "1.5"), "\"budget\" is \"1.5\"" + rule);
  EXPECT_EQ(refusal("budget", "1e-12"), "\"budget\" is \"1e-12\"" + rule);
  EXPECT_EQ(refusal("budget", "-0.5"), "\"budget\" is \"-0.5\"" + rule);
  EXPECT_EQ(refusal("budget", "99999999999999999999999"),
            "\"budget\" is 99999999999999999999999, more than any key_len");
}

TEST(Tokens, RefusesWhatIsNoAmount) {
  EXPECT_EQ(refusal("budget", "many"),
            "\"budget\" is \"many\"; it takes a whole number of tokens (128) or a percentage of "
            "key_len with at most six decimals (2%, 12.5%)");
  EXPECT_EQ(
      refusal("budget", "1.2345678%"),
      "\"budget\" is \"1.2345678%\"; it takes a whole number of tokens (128) or a percentage of "
      "key_len with at most six decimals (2%, 12.5%)");
  EXPECT_EQ(refusal("budget", "101%"), "\"budget\" is 101%; at most 100% can be taken");
  EXPECT_EQ(refusal("budget", "0%"), "\"budget\" is 0%; it must be >= 1");
  EXPECT_EQ(refusal("budget", "0"), "\"budget\" is 0; it must be >= 1");
  EXPECT_EQ(refusal("budget", "-3"), "\"budget\" is -3; it must be >= 1");
  EXPECT_NE(refusal("budget", "012"), "(accepted)");
}

TEST(Share, IsAFractionOrAPercentage) {
  EXPECT_DOUBLE_EQ(value_of("mass", "0.05").number, 0.05);
  EXPECT_DOUBLE_EQ(value_of("mass", "5%").number, 0.05);
  EXPECT_EQ(refusal("mass", "0"), "\"mass\" is 0; it must be in (0, 1]");
  EXPECT_EQ(refusal("mass", "1.5"), "\"mass\" is 1.5; it must be in (0, 1]");
  EXPECT_EQ(refusal("mass", "half"), "\"mass\" is \"half\"; it takes a share: 0.05 or 5%");
}

TEST(Count, IsAWholeNumberInRange) {
  EXPECT_EQ(value_of("page_size", "32").integer, 32);
  EXPECT_EQ(refusal("page_size", "2.5"), "\"page_size\" is \"2.5\"; it takes a whole number");
  EXPECT_EQ(refusal("page_size", "5000"), "\"page_size\" is 5000; it must be in [1, 4096]");
}

TEST(Number, IsAnyFiniteNumber) {
  EXPECT_DOUBLE_EQ(value_of("temperature", "-1e-3").number, -1e-3);
  EXPECT_EQ(refusal("temperature", "inf"), "\"temperature\" is \"inf\"; it takes a number");
}

TEST(Choice, IsOneOfItsNames) {
  EXPECT_EQ(value_of("reduce", "max").integer, 1);
  EXPECT_EQ(refusal("reduce", "mean"), "\"reduce\" is \"mean\"; it must be sum | max");
}

TEST(BindArguments, FillsDefaultsAndKeepsTheTablesOrder) {
  const Arguments bound =
      bind_arguments(every_unit(), {{"", {"2%"}}, {"rates", {"1", "2", "4"}, true}});
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"budget", "2%"},       {"mass", "0.9"},        {"page_size", "16"},
      {"rates", "[1, 2, 4]"}, {"temperature", "0.3"}, {"reduce", "sum"}};
  EXPECT_EQ(bound.resolved(), expected);
  const maskerade_argument& rates = argument(bound, "rates");
  ASSERT_EQ(rates.count, 3U);
  const maskerade_value& last_rate = rates.values[rates.count - 1];
  EXPECT_EQ(last_rate.integer, 4);
}

TEST(BindArguments, PointersStayGoodWhenMoved) {
  Arguments bound = bind("reduce", "max");
  const Arguments moved = std::move(bound);
  EXPECT_STREQ(argument(moved, "reduce").values->text, "max");
}

TEST(BindArguments, RefusesUnknownMissingDoubleAndLists) {
  EXPECT_EQ(refusal({{"budget", {"8"}}, {"page_sise", {"8"}}}),
            "\"every\" has no parameter \"page_sise\"; did you mean \"page_size\"?");
  EXPECT_EQ(refusal({{"budget", {"8"}}, {"zzzzzzzz", {"8"}}}),
            "\"every\" has no parameter \"zzzzzzzz\"; known: budget, mass, page_size, rates, "
            "temperature, reduce");
  EXPECT_EQ(refusal(std::vector<GivenParameter>{}),
            "\"every\" needs \"budget\" (tokens): what it is");
  EXPECT_EQ(refusal({{"", {"8"}}, {"budget", {"8"}}}), "\"budget\" is given twice; give it once");
  EXPECT_EQ(refusal({{"budget", {"8", "9"}, true}}), "\"budget\" takes one value, not a list");
  EXPECT_EQ(refusal({{"budget", {"8"}}, {"rates", {}, true}}),
            "\"rates\" is empty; give it a value");
}

TEST(File, MustBeReadable) {
  const maskerade_parameter table[] = {{.struct_size = sizeof(maskerade_parameter),
                                        .unit = MASKERADE_UNIT_FILE,
                                        .name = "weights",
                                        .doc = "weights"}};
  const maskerade_masker_descriptor masker = {
      .id = "learned", .parameters = table, .parameter_count = 1};
  const std::string path = testing::TempDir() + "weights.bin";
  std::ofstream(path) << "weights";
  EXPECT_EQ(only_text(bind_arguments(masker, {{"", {path}}})), path);
  EXPECT_THROW(bind_arguments(masker, {{"", {path + ".not"}}}), ParameterError);
  EXPECT_THROW(bind_arguments(masker, {}), ParameterError);
}

TEST(File, MayBeLeftOutWhenItsDefaultIsEmpty) {
  const maskerade_parameter table[] = {{.struct_size = sizeof(maskerade_parameter),
                                        .unit = MASKERADE_UNIT_FILE,
                                        .name = "weights",
                                        .default_value = "",
                                        .doc = "weights"}};
  const maskerade_masker_descriptor masker = {
      .id = "learned", .parameters = table, .parameter_count = 1};
  const Arguments none = bind_arguments(masker, {});
  EXPECT_EQ(only_text(none), "");
  EXPECT_TRUE(files_of(*table, none.view().front()).empty());
  const std::string path = testing::TempDir() + "optional_weights.bin";
  std::ofstream(path) << "weights";
  const Arguments given = bind_arguments(masker, {{"", {path}}});
  EXPECT_EQ(files_of(*table, given.view().front()), std::vector<std::string>{path});
  EXPECT_THROW(bind_arguments(masker, {{"", {path + ".not"}}}), ParameterError);
}

TEST(Text, IsTakenAsItIs) {
  const maskerade_parameter table[] = {{.struct_size = sizeof(maskerade_parameter),
                                        .unit = MASKERADE_UNIT_TEXT,
                                        .name = "tensor",
                                        .default_value = "mask",
                                        .doc = "a tensor's name"}};
  const maskerade_masker_descriptor masker = {
      .id = "named", .parameters = table, .parameter_count = 1};
  EXPECT_EQ(only_text(bind_arguments(masker, {})), "mask");
  EXPECT_EQ(only_text(bind_arguments(masker, {{"tensor", {"12%"}}})), "12%");
  EXPECT_EQ(only_text(bind_arguments(masker, {{"tensor", {""}}})), "");
  EXPECT_EQ(unit_name(MASKERADE_UNIT_TEXT), "text");
  EXPECT_EQ(range_text(*table), "any text");
}

TEST(Samples, OnlyWithTheTraitAndWhereAParameterSaysSo) {
  maskerade_parameter table[] = {{.struct_size = sizeof(maskerade_parameter),
                                  .unit = MASKERADE_UNIT_TEXT,
                                  .name = "p",
                                  .default_value = "",
                                  .doc = "a tensor's name"}};
  maskerade_masker_descriptor masker = {.id = "named", .parameters = table, .parameter_count = 1};
  EXPECT_FALSE(samples(masker, bind_arguments(masker, {{"p", {"p"}}})));
  masker.traits = MASKERADE_TRAIT_SAMPLES;
  EXPECT_TRUE(samples(masker, bind_arguments(masker, {})));
  table->flags = MASKERADE_MAKES_SAMPLER;
  EXPECT_FALSE(samples(masker, bind_arguments(masker, {})));
  EXPECT_FALSE(samples(masker, bind_arguments(masker, {{"p", {""}}})));
  EXPECT_TRUE(samples(masker, bind_arguments(masker, {{"p", {"p"}}})));
}

TEST(StatedGuarantee, IsOfTheFlaggedParametersUnlessAnotherWaivesIt) {
  const auto share = [](const char* name, const char* value, std::uint32_t flags) {
    return maskerade_parameter{.struct_size = sizeof(maskerade_parameter),
                               .unit = MASKERADE_UNIT_SHARE,
                               .flags = flags,
                               .name = name,
                               .default_value = value,
                               .minimum = 0,
                               .maximum = 1,
                               .doc = "a share"};
  };
  const maskerade_parameter table[] = {share("delta", "5%", MASKERADE_STATES_DELTA),
                                       share("epsilon", "0.25", MASKERADE_STATES_EPSILON),
                                       share("slack", "0", MASKERADE_WAIVES_GUARANTEE)};
  maskerade_masker_descriptor masker = {.id = "stated", .parameters = table, .parameter_count = 3};
  const auto stated = [&](const std::vector<GivenParameter>& given) {
    return stated_guarantee(masker, bind_arguments(masker, given));
  };
  ASSERT_TRUE(stated({}));
  EXPECT_EQ(stated({})->epsilon, 0.25);
  EXPECT_EQ(stated({})->delta, 0.05);
  EXPECT_EQ(stated({{"epsilon", {"10%"}}})->epsilon, 0.1);
  EXPECT_FALSE(stated({{"slack", {"1%"}}}));
  masker.parameter_count = 1;
  EXPECT_FALSE(stated({}));
}

TEST(Population, IsBoundedByTheFlaggedParameters) {
  const auto tokens = [](const char* name, std::uint32_t flags) {
    return maskerade_parameter{.struct_size = sizeof(maskerade_parameter),
                               .unit = MASKERADE_UNIT_TOKENS,
                               .flags = flags,
                               .name = name,
                               .default_value = "0",
                               .minimum = 0,
                               .maximum = 1e9,
                               .doc = "keys"};
  };
  const maskerade_parameter table[] = {tokens("first", MASKERADE_POPULATION_BEGIN),
                                       tokens("last", MASKERADE_POPULATION_END_OFFSET)};
  maskerade_masker_descriptor masker = {.id = "drawn", .parameters = table, .parameter_count = 2};
  const auto given = [&](const char* first, const char* last) {
    return bind_arguments(masker, {{"first", {first}}, {"last", {last}}});
  };
  const auto range = [&](const char* first, const char* last, std::int64_t key_len) {
    const std::optional<KeyPopulation> keys = population_of(masker, given(first, last), key_len);
    return keys ? std::to_string(keys->begin) + "-" + std::to_string(keys->end) : "unknown";
  };
  EXPECT_EQ(range("0", "0", 10), "0-10");
  EXPECT_EQ(range("4", "25%", 100), "4-75");
  EXPECT_EQ(range("4", "8", 10), "4-4") << "nothing is left";
  EXPECT_EQ(range("400", "800", 10), "10-10");
  EXPECT_EQ(range("5% of visible", "0", 10), "unknown");
  EXPECT_TRUE((KeyPopulation{0, 5}.overlaps({4, 9})));
  EXPECT_FALSE((KeyPopulation{0, 5}.overlaps({5, 9})));
  EXPECT_FALSE((KeyPopulation{3, 3}.overlaps({0, 9})));
  const auto disjoint = [&](const Arguments& a, const Arguments& b) {
    return can_be_disjoint(masker, a, masker, b);
  };
  EXPECT_TRUE(disjoint(given("0", "50%"), given("50%", "0")));
  EXPECT_FALSE(disjoint(given("0", "0"), given("0", "0")));
  EXPECT_FALSE(disjoint(given("4", "0"), given("8", "0"))) << "both end at the last key";
  EXPECT_FALSE(disjoint(given("0", "4"), given("0", "8"))) << "both begin at the first";
  EXPECT_FALSE(disjoint(given("0", "50% of visible"), given("50%", "0")));
  masker.parameter_count = 0;
  EXPECT_FALSE(population_of(masker, bind_arguments(masker, {}), 10));
}

}  // namespace
}  // namespace maskerade
