#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/experiments/config/read_experiment_for_test.hpp"

namespace maskerade {
namespace {

// An experiment whose text goes on with `text`, which begins on line 3.
std::string with(const std::string& text) {
  return "name: t\nworkload: {source: {kind: gaussian}, query_heads: 4, query_len: 8, key_len: 16, "
         "head_dim: 32}\n" +
         text;
}

// The text that a parameter of a masker is resolved to; "" when the masker has none of that name.
std::string argument(const MaskerUse& use, const std::string& parameter) {
  for (const auto& [name, text] : use.arguments->resolved()) {
    if (name == parameter) return text;
  }
  return "";
}

// "label: parameter quantity target" for each pipeline.
std::vector<std::string> matches_of(const std::string& text) {
  const ExperimentFolder folder;
  std::vector<std::string> lines;
  for (const PipelineSpec& spec : folder.read(with(text)).pipelines) {
    std::string line = spec.label + ":";
    if (spec.match) {
      const MatchSpec& match = *spec.match;
      line += " " + match.name + " " + std::string(name_of(match.quantity)) + " " +
              fmt::format("{}", match.target);
      EXPECT_EQ(match.name, spec.maskers[match.masker].type->id() +
                                match.name.substr(match.name.find_first_of(".#")));
    }
    lines.push_back(line);
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST(Match, SearchesTheFirstParameterOfTheLastMaskerThatHasANumber) {
  EXPECT_EQ(matches_of("match: {density: 10%}\n"
                       "pipelines:\n"
                       "  one: [window_all]\n"
                       "  two: [{top: 5}, window_all, plain]\n"
                       "  twice: [window_all, {window_all: 3}]\n"),
            (Lines{"one: window_all.window density 0.1", "two: window_all.window density 0.1",
                   "twice: window_all#2.window density 0.1"}));
}

TEST(Match, NamesAParameterOfAnyUnitThatIsANumber) {
  for (const char* parameter : {"window", "rate", "parts", "pages", "temperature"}) {
    const std::string name = std::string("window_all.") + parameter;
    EXPECT_EQ(matches_of("match: {rel_l2_error: 0.05, parameter: " + name +
                         "}\npipelines: {p: [window_all, {top: 1}]}\n"),
              (Lines{"p: " + name + " rel_l2_error 0.05"}));
  }
  EXPECT_EQ(matches_of("match: {total_ms: 2.5, parameter: 'window_all#2.rate'}\n"
                       "pipelines: {p: [window_all, window_all]}\n"),
            (Lines{"p: window_all#2.rate total_ms 2.5"}));
}

TEST(Match, SweptTargetsGiveEveryPipelineOnceForEach) {
  EXPECT_EQ(matches_of("match: {density: {sweep: [2%, 10%]}}\n"
                       "pipelines:\n"
                       "  a: [{window_all: {rate: {sweep: [5%, 6%]}}}]\n"
                       "  own: {maskers: [window_all], match: {total_bytes: {sweep: [1e6, 2e6]}}}\n"
                       "  none: {maskers: [window_all], match: none}\n"),
            (Lines{"a rate=5% density=2%: window_all.window density 0.02",
                   "a rate=6% density=2%: window_all.window density 0.02",
                   "own total_bytes=1e6: window_all.window total_bytes 1000000",
                   "own total_bytes=2e6: window_all.window total_bytes 2000000",
                   "none:", "a rate=5% density=10%: window_all.window density 0.1",
                   "a rate=6% density=10%: window_all.window density 0.1"}));
}

TEST(Match, KeepsACellThatMissesUnlessItIsToFail) {
  const ExperimentFolder folder;
  const auto rule_of = [&](const std::string& match) {
    const Experiment experiment = folder.read(with(match + "pipelines: {p: [window_all]}\n"));
    return pipeline_of(experiment, "p").match->on_miss;
  };
  EXPECT_EQ(rule_of("match: {density: 10%}\n"), MissRule::kKeep);
  EXPECT_EQ(rule_of("match: {density: 10%, on_miss: keep}\n"), MissRule::kKeep);
  EXPECT_EQ(rule_of("match: {density: 10%, on_miss: fail}\n"), MissRule::kFail);
}

TEST(Match, OfOnePipelineAlone) {
  EXPECT_EQ(matches_of("pipelines:\n"
                       "  a: [window_all]\n"
                       "  b: {maskers: [top], match: {attention_recall: 90%}}\n"),
            (Lines{"a:", "b: top.budget attention_recall 0.9"}));
}

TEST(Match, LeavesARequiredParameterOpenThatItSearches) {
  const ExperimentFolder folder;
  const Experiment experiment =
      folder.read(with("match: {density: 10%}\nlet: {best: [top]}\n"
                       "pipelines: {p: [plain, best], q: [{top: {share: 7%}}]}\n"));
  for (const PipelineSpec& spec : experiment.pipelines) {
    EXPECT_EQ(argument(spec.maskers.back(), "budget"), "1");
    EXPECT_EQ(spec.match->name, "top.budget");
  }
  EXPECT_EQ(argument(pipeline_of(experiment, "q").maskers.front(), "share"), "7%");
}

TEST(Match, ErrorsSayWhatWouldBeRight) {
  const ExperimentFolder folder;
  const std::string lost = "pipelines: {p: [window_all]}\n";
  folder.write("table.bin", "x");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"match: 10%\n" + lost,
       "x.yaml:3:8: match is 10%; it must say what to reach, for example match: {density: 10%}"},
      {"match: {tolerance: 1%}\n" + lost,
       "x.yaml:3:8: match names nothing to reach; give it a target, for example match: {density: "
       "10%}"},
      {"match: {density: 10%, total_ms: 3}\n" + lost,
       "x.yaml:3:23: match names density and total_ms; give it one of them"},
      {"match: {densty: 10%}\n" + lost,
       "x.yaml:3:9: unknown key \"densty\" in match; did you mean \"density\"?"},
      {"match: {density: 10%, on_miss: stop}\n" + lost,
       "x.yaml:3:32: unknown match.on_miss \"stop\"; known: keep, fail"},
      {"match: {density: 10}\n" + lost,
       "x.yaml:3:18: match.density is 10; it must be a share between 0 and 1, written 2% or 0.02"},
      {"match: {total_ms: 3ms}\n" + lost,
       "x.yaml:3:19: match.total_ms is 3ms; it must be a number above 0, such as 0.125 or 1e-5"},
      {"match: {density: 1%, parameter: window}\n" + lost,
       "x.yaml:3:33: match.parameter is window; it must be MASKER.PARAMETER, such as "
       "oracle_topk.budget"},
      {"match: {density: 1%, parameter: window_al.window}\n" + lost,
       "x.yaml:3:33: pipeline \"p\" has no masker \"window_al\" to match; did you mean "
       "\"window_all\"?"},
      {"match: {density: 1%, parameter: window_all.windw}\n" + lost,
       "x.yaml:3:33: \"window_all\" has no parameter \"windw\"; did you mean \"window\"?"},
      {"match: {density: 1%, parameter: window_all.reduce}\n" + lost,
       "x.yaml:3:33: window_all.reduce is a choice; match can search only a parameter in tokens, "
       "a share, a count, blocks or a number"},
      {"match: {density: 1%}\npipelines: {p: [plain, {random: table.bin}]}\n",
       "x.yaml:3:8: pipeline \"p\" has no masker whose first parameter is a number that match "
       "could search; name one as parameter: MASKER.PARAMETER, or give the pipeline match: none"},
      {"pipelines: {p: [top]}\n", "x.yaml:3:17: \"top\" needs \"budget\" (tokens): for tests"},
      {"match: {density: 1%}\npipelines: {p: [top, window_all]}\n",
       "x.yaml:4:17: \"top\" needs \"budget\" (tokens): for tests"},
      {"match: {density: 1%}\npipelines: {p: {maskers: [top], match: none}}\n",
       "x.yaml:4:27: \"top\" needs \"budget\" (tokens): for tests"},
      {"match: {density: 1%}\npipelines: {p: [{top: {share: 700}}]}\n",
       "x.yaml:4:31: \"share\" is 700; it must be in [0, 1]"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(folder.error(with(text)), message) << text;
}

}  // namespace
}  // namespace maskerade
