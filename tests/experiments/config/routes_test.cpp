// Tests of the overrides of a pipeline and of a file, and of presets.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/config/preset_table.hpp"
#include "tests/experiments/config/read_experiment_for_test.hpp"

namespace maskerade {
namespace {

using Lines = std::vector<std::string>;
using Numbers = std::vector<std::int64_t>;

std::string with(const std::string& text) {
  return "name: t\nworkload: {source: {kind: gaussian}, query_heads: 4, query_len: 8, key_len: 16, "
         "head_dim: 32}\n" +
         text;
}

// "top=3" for each masker: its id and its first argument.
Lines maskers_of(const std::vector<MaskerUse>& uses) {
  Lines lines;
  for (const MaskerUse& use : uses) {
    const auto& resolved = use.arguments->resolved();
    lines.push_back(use.type->id() + (resolved.empty() ? "" : "=" + resolved.front().second));
  }
  return lines;
}

Lines uses_of(const PipelineSpec& spec) {
  Lines lines;
  for (const RouteRule& rule : spec.overrides) lines.push_back(rule.use);
  return lines;
}

// The override of a pipeline with this `use`. Throws Error, which fails the test, when there is
// none.
const RouteRule& rule_of(const PipelineSpec& spec, std::string_view use) {
  for (const RouteRule& rule : spec.overrides) {
    if (rule.use == use) return rule;
  }
  throw Error("no override uses \"" + std::string(use) + "\"");
}

TEST(Overrides, NameLayersHeadsAndWhatSelectsThere) {
  const ExperimentFolder folder;
  const Experiment experiment =
      folder.read(with("let: {base: [plain, {top: 3}]}\n"
                       "pipelines:\n"
                       "  other: [base, {window_all: 9}]\n"
                       "  p:\n"
                       "    maskers: [plain]\n"
                       "    overrides:\n"
                       "      - {layers: [0, 5], use: dense}\n"
                       "      - {layers: all, heads: [3, 1], use: base}\n"
                       "      - {use: other}\n"));
  EXPECT_TRUE(pipeline_of(experiment, "other").overrides.empty());
  const PipelineSpec& p = pipeline_of(experiment, "p");
  EXPECT_EQ(uses_of(p), (Lines{"dense", "base", "other"}));
  const RouteRule& dense = rule_of(p, "dense");
  EXPECT_EQ(dense.layers, (Numbers{0, 5}));
  EXPECT_FALSE(dense.heads);
  EXPECT_TRUE(dense.is_dense);
  EXPECT_TRUE(dense.maskers.empty());
  EXPECT_TRUE(dense.is_for_layer(5));
  EXPECT_FALSE(dense.is_for_layer(1));
  EXPECT_FALSE(dense.is_for_layer({})) << "data that states no layer";
  const RouteRule& base = rule_of(p, "base");
  EXPECT_FALSE(base.layers);
  EXPECT_EQ(base.heads, (Numbers{3, 1}));
  EXPECT_EQ(maskers_of(base.maskers), (Lines{"plain", "top=3"}));
  const RouteRule& other = rule_of(p, "other");
  EXPECT_FALSE(other.is_dense);
  EXPECT_EQ(maskers_of(other.maskers), (Lines{"plain", "top=3", "window_all=9"}));
  EXPECT_TRUE(other.is_for_layer({}));
}

TEST(Overrides, OfTheFileComeAfterThoseOfAPipeline) {
  const ExperimentFolder folder;
  const Experiment experiment =
      folder.read(with("pipelines:\n"
                       "  plain_one: [plain]\n"
                       "  p: {maskers: [{top: 2}], overrides: [{heads: [0], use: plain_one}]}\n"
                       "overrides: [{layers: [0], use: dense}]\n"));
  EXPECT_EQ(uses_of(pipeline_of(experiment, "plain_one")), Lines{"dense"});
  EXPECT_EQ(uses_of(pipeline_of(experiment, "p")), (Lines{"plain_one", "dense"}));
}

TEST(Overrides, AreSweptLikeEverything) {
  const ExperimentFolder folder;
  const Experiment experiment = folder.read(
      with("pipelines:\n"
           "  q: [plain]\n"
           "  p: {maskers: [{top: 2}], overrides: [{heads: {sweep: [[0], [1]]}, use: q}]}\n"
           "overrides: [{layers: all, heads: [2], use: {sweep: [dense, q]}}]\n"));
  Lines labels;
  for (const PipelineSpec& spec : experiment.pipelines) labels.push_back(spec.label);
  EXPECT_EQ(labels, (Lines{"q use=dense", "q use=q", "p heads=[0] use=dense", "p heads=[0] use=q",
                           "p heads=[1] use=dense", "p heads=[1] use=q"}));
  const PipelineSpec& swept = pipeline_of(experiment, "p heads=[0] use=q");
  EXPECT_EQ(swept.overrides.front().heads, Numbers{0});
  EXPECT_EQ(swept.overrides.back().use, "q");
}

TEST(Overrides, CountForTheSeeds) {
  const ExperimentFolder folder;
  folder.write("t", "");
  const Experiment experiment =
      folder.read(with("seeds: {mask: [1, 2]}\n"
                       "pipelines:\n"
                       "  drawn: [{random: t}]\n"
                       "  p: {maskers: [plain], overrides: [{heads: [0], use: drawn}]}\n"
                       "  q: {maskers: [plain], overrides: [{heads: [0], use: dense}]}\n"));
  const WorkloadSpec& workload = workload_of(experiment, "workload");
  EXPECT_TRUE(depends_on_seed(pipeline_of(experiment, "p"), workload));
  EXPECT_FALSE(depends_on_seed(pipeline_of(experiment, "q"), workload));
  EXPECT_EQ(make_grid(experiment).size(), 2U + 2U + 1U);
}

TEST(Overrides, OfLayersThatTheDataDoNotHaveCountForNoSeeds) {
  const ExperimentFolder folder;
  folder.write("t", "");
  const Experiment experiment = folder.read(
      "name: t\n"
      "workloads:\n"
      "  made: {source: {kind: gaussian}, query_heads: 4, query_len: 8, key_len: 16, head_dim: "
      "32}\n"
      "  read: {source: {kind: safetensors, file: t, layers: [3]}}\n"
      "  unknown: {source: {kind: safetensors, file: t}}\n"
      "seeds: {mask: [1, 2]}\n"
      "pipelines:\n"
      "  p: {maskers: [plain], overrides: [{layers: [2], use: drawn}]}\n"
      "let: {drawn: [{random: t}]}\n");
  const RouteRule& drawn = rule_of(pipeline_of(experiment, "p"), "drawn");
  const auto may_hold_for = [&](const std::string& workload) {
    return may_hold(drawn, workload_of(experiment, workload));
  };
  EXPECT_FALSE(may_hold_for("made")) << "generated data states no layer";
  EXPECT_FALSE(may_hold_for("read layer=3"));
  EXPECT_TRUE(may_hold_for("unknown")) << "the file may state it";
  EXPECT_EQ(make_grid(experiment).size(), 1U + 1U + 2U);
}

TEST(Overrides, ErrorsSayWhatToWrite) {
  const ExperimentFolder folder;
  const auto error = [&](const std::string& overrides, const std::string& more = "") {
    return folder.error(
        with("pipelines:\n  s: [{top: {sweep: [1, 2]}}]\n"
             "  p: {maskers: [plain], overrides: " +
             overrides + "}\n" + more));
  };
  EXPECT_EQ(error("dense"),
            "x.yaml:5:36: overrides is dense; it must be a list: [{layers: [0, 1], use: dense}]");
  EXPECT_EQ(
      error("[{layers: [0]}]"),
      "x.yaml:5:37: an override has no \"use\"; name the pipeline, let or preset that selects "
      "there, or dense: {layers: [0, 1], use: dense}");
  EXPECT_EQ(error("[{layer: [0], use: dense}]"),
            "x.yaml:5:38: unknown key \"layer\" in an override; did you mean \"layers\"?");
  EXPECT_EQ(error("[{layers: 0, use: dense}]"),
            "x.yaml:5:46: layers is 0; it must be a list of layers, such as [1, 5], or all");
  EXPECT_EQ(error("[{heads: [1, 1], use: dense}]"), "x.yaml:5:49: heads lists 1 twice");
  EXPECT_EQ(error("[{heads: [1], use: dence}]"),
            "x.yaml:5:55: unknown pipeline or let \"dence\"; did you mean \"dense\"?");
  EXPECT_EQ(error("[{heads: [1], use: s}]"),
            "x.yaml:5:55: \"s\" stands for 2 pipelines, as it has sweeps; name one without sweeps");
  EXPECT_EQ(
      error("[{heads: [1, 4], use: dense}]"),
      "x.yaml:5:45: an override names query head 4, but workload \"workload\" has the query heads "
      "0 to 3");
  EXPECT_EQ(error("[{layers: [1], heads: [9], use: dense}]"), "accepted")
      << "the workload is of no layer";
  EXPECT_EQ(error("[]", "let: {dense: [plain]}\n"),
            "x.yaml:6:7: let \"dense\" has the name of the dense reference; choose another name");
}

// Reads experiments with the presets of a file beside them.
class Presets : public testing::Test {
 protected:
  Experiment read(const std::string& text) const {
    folder_.write("presets.yaml", presets_);
    folder_.write("x.yaml", with(text));
    return read_experiment(folder_.path() / "x.yaml", {}, test_catalog(),
                           PresetTable::read(folder_.path() / "presets.yaml"));
  }
  std::string error(const std::string& text) const {
    try {
      read(text);
    } catch (const ConfigError& error) {
      return std::string(error.what()).substr(folder_.path().string().size() + 1);
    }
    return "accepted";
  }

  std::string presets_ =
      "simple: {summary: two maskers, maskers: [plain, {top: 3}]}\n"
      "paper:\n"
      "  summary: more than maskers\n"
      "  reference: arXiv:0000.00000\n"
      "  maskers: [{window_all: 7}]\n"
      "  only: prefill\n"
      "  overrides: [{layers: [0, 1], use: dense}]\n";
  const ExperimentFolder folder_;
};

TEST_F(Presets, StandForAPipelineWithAllItsKeys) {
  const Experiment experiment = read(
      "pipelines:\n"
      "  p: {preset: paper}\n"
      "  mine: {preset: paper, only: decode, overrides: [{heads: [0], use: p}]}\n"
      "  forms: {sweep: [{preset: simple}, {preset: paper}]}\n");
  EXPECT_EQ(experiment.pipelines.size(), 4U);
  const PipelineSpec& p = pipeline_of(experiment, "p");
  EXPECT_EQ(maskers_of(p.maskers), Lines{"window_all=7"});
  EXPECT_EQ(p.only, WorkloadKind::kPrefill);
  EXPECT_EQ(uses_of(p), Lines{"dense"});
  const PipelineSpec& mine = pipeline_of(experiment, "mine");
  EXPECT_EQ(mine.only, WorkloadKind::kDecode);
  EXPECT_EQ(uses_of(mine), (Lines{"p", "dense"})) << "its own first";
  EXPECT_EQ(maskers_of(rule_of(mine, "p").maskers), Lines{"window_all=7"});
  const PipelineSpec& simple = pipeline_of(experiment, "forms #1");
  EXPECT_EQ(maskers_of(simple.maskers), (Lines{"plain", "top=3"}));
  EXPECT_EQ(uses_of(pipeline_of(experiment, "forms #2")), Lines{"dense"});
}

TEST_F(Presets, OfMaskersAloneAreItemsOfAListUnlessALetHidesThem) {
  const std::string lists =
      "pipelines: {p: [plain, simple], q: {maskers: [plain], overrides: [{heads: [0], use: "
      "simple}]}}\n";
  const Experiment experiment = read(lists);
  const auto routed = [](const Experiment& read_one, const std::string& pipeline,
                         const std::string& use) {
    return maskers_of(rule_of(pipeline_of(read_one, pipeline), use).maskers);
  };
  EXPECT_EQ(maskers_of(pipeline_of(experiment, "p").maskers), (Lines{"plain", "plain", "top=3"}));
  EXPECT_EQ(routed(experiment, "q", "simple"), (Lines{"plain", "top=3"}));
  const Experiment more =
      read("pipelines: {p: {maskers: [plain], overrides: [{heads: [0], use: paper}]}}\n");
  EXPECT_EQ(routed(more, "p", "paper"), Lines{"window_all=7"})
      << "in `use` a preset stands for its maskers alone";
  const Experiment hidden = read("let: {simple: [{top: 5}]}\n" + lists);
  EXPECT_EQ(maskers_of(pipeline_of(hidden, "p").maskers), (Lines{"plain", "top=5"}));
}

TEST_F(Presets, ErrorsNameThePreset) {
  EXPECT_EQ(error("pipelines: {p: {preset: papr}}\n"),
            "x.yaml:3:25: unknown preset \"papr\"; did you mean \"paper\"?");
  EXPECT_EQ(error("pipelines: {p: {preset: [paper]}}\n"),
            "x.yaml:3:25: preset is a list; it must be a text");
  EXPECT_EQ(error("pipelines: {p: {preset: paper, maskers: [plain]}}\n"),
            "x.yaml:3:32: a pipeline has maskers or a preset, not both; remove one of them");
  EXPECT_EQ(error("pipelines: {p: [plain, paper]}\n"),
            "x.yaml:3:24: preset \"paper\" is more than a list of maskers; write it as a pipeline: "
            "{preset: paper}");
  EXPECT_EQ(error("pipelines: {p: [{simple: 4}]}\n"),
            "x.yaml:3:18: \"simple\" is a preset and takes no value; write its name alone");
  EXPECT_EQ(error("pipelines: {p: [simpel]}\n"),
            "x.yaml:3:17: unknown masker \"simpel\"; did you mean \"simple\"?");
}

TEST_F(Presets, FilesAreCheckedWhenTheyAreRead) {
  const auto error_of = [&](const std::string& presets) {
    presets_ = presets;
    return error("pipelines: {p: [plain]}\n");
  };
  EXPECT_EQ(
      error_of("[simple]\n"),
      "presets.yaml: the file of presets is a list; it must be a mapping of names to presets: "
      "{NAME: {summary: TEXT, maskers: [...]}}");
  EXPECT_EQ(error_of("simple: {maskers: [plain]}\n"),
            "presets.yaml:1:1: preset \"simple\" needs a summary and maskers");
  EXPECT_EQ(error_of("simple: {summary: s, maskers: [plain], onl: decode}\n"),
            "presets.yaml:1:40: unknown key \"onl\" in preset \"simple\"; did you mean \"only\"?");
}

}  // namespace
}  // namespace maskerade
