#include "experiments/config/assignments.hpp"

#include <gtest/gtest.h>

#include <string>

namespace maskerade {
namespace {

constexpr const char* kFile =
    "measure: {budget: 2s}\n"
    "workloads: {prefill: {key_len: {sweep: [1, 2]}}}\n"
    "pipelines: {topk: [{top: 5%}, {local: 64}]}\n";

// The tree of kFile after one assignment was applied, as text; or the message of the error.
std::string set(const std::string& key, const std::string& value) {
  try {
    return apply_assignment(parse_yaml(kFile, "x.yaml"), {key, value}).to_text();
  } catch (const ConfigError& error) {
    return error.what();
  }
}

TEST(Assignments, ReplaceAValueEvenASweep) {
  EXPECT_EQ(set("measure.budget", "1s"),
            "{measure: {budget: 1s}, workloads: {prefill: {key_len: {sweep: [1, 2]}}}, "
            "pipelines: {topk: [{top: 5%}, {local: 64}]}}");
  EXPECT_EQ(set("workloads.prefill.key_len", "7").substr(0, 62),
            "{measure: {budget: 2s}, workloads: {prefill: {key_len: 7}}, pi");
}

TEST(Assignments, TheValueIsYaml) {
  EXPECT_EQ(set("workloads.prefill.key_len", "{sweep: [3, 4]}").substr(24, 53),
            "workloads: {prefill: {key_len: {sweep: [3, 4]}}}, pip");
}

TEST(Assignments, AddALeafToAMappingThatIsThere) {
  EXPECT_EQ(set("measure.target", "1%").substr(0, 35), "{measure: {budget: 2s, target: 1%},");
  EXPECT_NE(set("devices", "[cuda]").find(", devices: [cuda]}"), std::string::npos);
}

TEST(Assignments, MakeASectionOfDefaults) {
  EXPECT_NE(set("check.oracle_rows", "all").find(", check: {oracle_rows: all}}"),
            std::string::npos);
  EXPECT_NE(set("seeds.mask", "[1, 2]").find(", seeds: {mask: [1, 2]}}"), std::string::npos);
}

TEST(Assignments, ReachIntoListsByNumber) {
  EXPECT_NE(set("pipelines.topk.1.local", "128").find("[{top: 5%}, {local: 128}]"),
            std::string::npos);
}

TEST(Assignments, ErrorsNameTheSetAndThePart) {
  EXPECT_EQ(set("workloads.prefil.key_len", "3"),
            "--set workloads.prefil.key_len: there is no \"prefil\" in \"workloads\"; did you mean "
            "\"prefill\"?");
  EXPECT_EQ(set("mesure.budget", "3"),
            "--set mesure.budget: there is no \"mesure\" in the experiment file; did you mean "
            "\"measure\"?");
  EXPECT_EQ(set("measure.budget.x", "3"),
            "--set measure.budget.x: \"measure.budget\" is 2s, which has no \"x\"");
  EXPECT_EQ(set("pipelines.topk.2", "3"),
            "--set pipelines.topk.2: \"2\" names no item of the list \"pipelines.topk\"; its items "
            "are 0 to 1");
  EXPECT_EQ(set("measure..budget", "3"),
            "--set measure..budget: the path has an empty part; write keys joined by dots, such as "
            "measure.budget");
  EXPECT_EQ(set("measure.budget", "{a: 1, a: 2}"),
            "--set measure.budget:1:8: duplicate key \"a\"; it is already on line 1");
}

TEST(Assignments, NamesHaveNoControlCharacters) {
  EXPECT_EQ(set("pipelines.a\x1b[2J", "[plain]"),
            "--set: a text holds the control character \\x1b; remove it");
  EXPECT_EQ(set("measure.budget", "\"a\\x7F\""),
            "--set measure.budget:1:1: a text holds the control character \\x7f; remove it");
}

}  // namespace
}  // namespace maskerade
