#include "experiments/config/expansion.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace maskerade {
namespace {

// "LABEL | NODE" for each variant of a YAML text.
std::vector<std::string> expand(const std::string& text) {
  std::vector<std::string> variants;
  for (const Variant& variant : expand_sweeps(parse_yaml(text, "x.yaml"))) {
    variants.push_back(variant_label("w", variant.swept) + " | " + variant.node.to_text());
  }
  return variants;
}

std::string expand_error(const std::string& text) {
  try {
    expand_sweeps(parse_yaml(text, "x.yaml"));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

using Lines = std::vector<std::string>;

TEST(Expansion, ATreeWithoutSweepsIsItself) {
  EXPECT_EQ(expand("{a: 1, b: [2, {c: 3}]}"), Lines{"w | {a: 1, b: [2, {c: 3}]}"});
  EXPECT_EQ(expand("[]"), Lines{"w | []"});
}

TEST(Expansion, TheFirstSweepOfTheTextIsOutermost) {
  EXPECT_EQ(expand("{a: {sweep: [1, 2]}, b: {sweep: [x, y]}}"),
            (Lines{"w a=1 b=x | {a: 1, b: x}", "w a=1 b=y | {a: 1, b: y}",
                   "w a=2 b=x | {a: 2, b: x}", "w a=2 b=y | {a: 2, b: y}"}));
}

TEST(Expansion, ASweepStandsForScalarsListsAndMappings) {
  EXPECT_EQ(expand("{a: {sweep: [1, [2, 3], {b: 4}]}}"),
            (Lines{"w a=1 | {a: 1}", "w a=[2, 3] | {a: [2, 3]}", "w a={b: 4} | {a: {b: 4}}"}));
}

TEST(Expansion, ASweepMayStandAtTheRootAndInLists) {
  EXPECT_EQ(expand("{sweep: [1, 2]}"), (Lines{"w 1 | 1", "w 2 | 2"}));
  EXPECT_EQ(expand("[x, {m: {sweep: [1, 2]}}]"),
            (Lines{"w m=1 | [x, {m: 1}]", "w m=2 | [x, {m: 2}]"}));
}

TEST(Expansion, SweepsNest) {
  EXPECT_EQ(expand("{a: {sweep: [1, {b: {sweep: [2, 3]}}]}}"),
            (Lines{"w a=1 | {a: 1}", "w a={b: 2} | {a: {b: 2}}", "w a={b: 3} | {a: {b: 3}}"}));
  EXPECT_EQ(expand("{a: {sweep: [1, {sweep: [2, 3]}]}}"),
            (Lines{"w a=1 | {a: 1}", "w a=2 | {a: 2}", "w a=3 | {a: 3}"}));
}

TEST(Expansion, ALongValueIsNamedByItsPlace) {
  EXPECT_EQ(expand("{a: {sweep: [x, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]}}")[1],
            "w a=#2 | {a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}");
}

TEST(Expansion, AKeyThatIsSweptTwiceIsNamedWithItsParent) {
  EXPECT_EQ(expand("[{top: {budget: {sweep: [1, 2]}}}, {next: {budget: {sweep: [3, 4]}}}]")[1],
            "w top.budget=1 next.budget=4 | [{top: {budget: 1}}, {next: {budget: 4}}]");
}

TEST(Expansion, ZipPairsValuesAndMultipliesWithSweeps) {
  EXPECT_EQ(
      expand("{zip: {a: [1, 2], b: [x, y]}, c: {sweep: [p, q]}, d: 0}"),
      (Lines{"w a=1 b=x c=p | {a: 1, b: x, c: p, d: 0}", "w a=1 b=x c=q | {a: 1, b: x, c: q, d: 0}",
             "w a=2 b=y c=p | {a: 2, b: y, c: p, d: 0}",
             "w a=2 b=y c=q | {a: 2, b: y, c: q, d: 0}"}));
}

TEST(Expansion, ErrorsNameTheirPlace) {
  EXPECT_EQ(expand_error("a: {sweep: 3}"),
            "x.yaml:1:12: sweep is 3; it must be a list of values: [1, 2, 4]");
  EXPECT_EQ(expand_error("a: {sweep: []}"),
            "x.yaml:1:12: sweep is an empty list; give it at least one value");
  EXPECT_EQ(expand_error("a: {sweep: [1, 2], b: 3}"),
            "x.yaml:1:5: sweep must be alone in its mapping; write KEY: {sweep: [...]}");
  EXPECT_EQ(expand_error("a: {sweep: [1, 2, 1]}"), "x.yaml:1:19: sweep lists 1 twice");
  EXPECT_EQ(expand_error("zip: {a: [1, 2], b: [1]}"),
            "x.yaml:1:18: zip pairs lists of equal length; \"a\" has 2 values, \"b\" 1");
  EXPECT_EQ(expand_error("zip: [1, 2]"),
            "x.yaml:1:6: zip is a list; it must be a mapping of lists: {a: [1, 2], b: [3, 4]}");
  EXPECT_EQ(expand_error("zip: {a: 1, b: [1]}"),
            "x.yaml:1:10: zip.a is 1; it must be a list of values: [1, 2, 4]");
  EXPECT_EQ(expand_error("zip: {a: [], b: []}"),
            "x.yaml:1:10: zip.a is an empty list; give it at least one value");
  EXPECT_EQ(expand_error("a: 3\nzip: {a: [1], b: [2]}"),
            "x.yaml:2:7: zip sets \"a\", which line 1 sets too; keep one of them");
}

TEST(Expansion, TheProductIsBounded) {
  std::string text = "{";
  for (int i = 0; i < 6; ++i) {
    text += "k" + std::to_string(i) + ": {sweep: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}, ";
  }
  EXPECT_NE(expand_error(text + "z: 1}")
                .find("multiply to 1000000 variants; the limit is 100000, so sweep fewer values"),
            std::string::npos);
  std::string sum = "a: {sweep: [0";  // 11 choices of 10,000 variants each
  for (int i = 0; i < 11; ++i) {
    sum += ", {i" + std::to_string(i) + ": 0";
    for (int k = 0; k < 4; ++k) {
      sum += ", k" + std::to_string(k) + ": {sweep: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}";
    }
    sum += "}";
  }
  EXPECT_NE(expand_error(sum + "]}")
                .find("multiply to 100001 variants; the limit is 100000, so sweep fewer values"),
            std::string::npos);
}

TEST(Expansion, TheValuesOfAllVariantsAreBounded) {
  std::string text = "{";
  for (int i = 0; i < 12; ++i) text += "k" + std::to_string(i) + ": {sweep: [0, 1]}, ";
  text += "list: [0";
  for (int i = 1; i < 1000; ++i) text += ", " + std::to_string(i);
  EXPECT_EQ(expand_error(text + "]}"),
            "x.yaml:1:256: the variants of the sweeps up to here hold 4153344 values; the limit is "
            "2000000, so sweep less, or split the experiment");
}

TEST(Expansion, ALongListWithoutSweepsIsNoProduct) {
  std::string text = "[0";
  for (int i = 1; i < 50'000; ++i) text += ", " + std::to_string(i);
  EXPECT_EQ(expand_sweeps(parse_yaml(text + "]", "x.yaml")).size(), 1U);
}

RC_GTEST_PROP(Expansion, TheProductHasEveryCombinationOnce, ()) {
  const auto lengths = *rc::gen::container<std::vector<int>>(3, rc::gen::inRange(1, 5));
  std::string text = "{";
  std::size_t product = 1;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    text += (i == 0 ? "k" : ", k") + std::to_string(i) + ": {sweep: [";
    for (int j = 0; j < lengths[i]; ++j) text += (j == 0 ? "" : ", ") + std::to_string(j);
    text += "]}";
    product *= static_cast<std::size_t>(lengths[i]);
  }
  const std::vector<std::string> variants = expand(text + "}");
  RC_ASSERT(variants.size() == product);
  RC_ASSERT(std::set<std::string>(variants.begin(), variants.end()).size() == product);
}

}  // namespace
}  // namespace maskerade
