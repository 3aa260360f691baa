#include "experiments/config/experiment.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/experiments/config/read_experiment_for_test.hpp"

namespace maskerade {
namespace {

using Lines = std::vector<std::string>;

constexpr const char* kName = "name: test\n";
constexpr const char* kWorkload =
    "workload: {source: {kind: gaussian}, query_heads: 4, query_len: 8, key_len: 16, head_dim: "
    "32}\n";
constexpr const char* kPipelines = "pipelines: {p: [window_all]}\n";

std::string with_pipelines(const std::string& pipelines) {
  return std::string(kName) + kWorkload + pipelines;
}

std::string with_workload(const std::string& workload) {
  return std::string(kName) + workload + kPipelines;
}

Lines workload_labels(const Experiment& experiment) {
  Lines labels;
  for (const WorkloadSpec& spec : experiment.workloads) labels.push_back(spec.label);
  return labels;
}

// "LABEL: masker(parameter=value ...) ..." for each pipeline. Of the parameters, those are shown
// that differ from their defaults.
Lines pipeline_texts(const Experiment& experiment) {
  Lines texts;
  for (const PipelineSpec& spec : experiment.pipelines) {
    std::string text = spec.label + ":";
    for (const MaskerUse& use : spec.maskers) {
      text += " " + use.type->id() + "(";
      const Arguments defaults = [&] {
        const auto& masker = use.type->descriptor();
        return bind_arguments(masker, use.type->id() == "top"
                                          ? std::vector<GivenParameter>{{"budget", {"1"}, false}}
                                          : std::vector<GivenParameter>{});
      }();
      std::string changed;
      for (std::size_t i = 0; i < use.arguments->resolved().size(); ++i) {
        const auto& [name, value] = use.arguments->resolved()[i];
        if (value != defaults.resolved()[i].second) {
          changed += (changed.empty() ? "" : " ") + name + "=" + value;
        }
      }
      text += changed + ")";
    }
    texts.push_back(text);
  }
  return texts;
}

TEST(Experiment, DefaultsAreFilledIn) {
  const ExperimentFolder folder;
  const Experiment experiment = folder.read(with_pipelines(kPipelines));
  EXPECT_EQ(experiment.name, "test");
  EXPECT_EQ(experiment.devices, Lines{"cpu"});
  EXPECT_EQ(experiment.kernels, Lines{"auto"});
  EXPECT_EQ(experiment.mask_seeds, std::vector<std::uint64_t>{0});
  ASSERT_EQ(experiment.checks.size(), 1U);
  const CellRules& rules = experiment.checks.front();
  EXPECT_EQ(rules.check.oracle_rows, 256);
  EXPECT_FALSE(rules.check.tolerance.has_value());
  EXPECT_EQ(rules.measure.target, 0.02);
  EXPECT_EQ(rules.measure.budget_ms, 2000);
  ASSERT_EQ(experiment.workloads.size(), 1U);
  const WorkloadSpec& workload = workload_of(experiment, "workload");
  EXPECT_EQ(workload.position.line, 2);
  EXPECT_EQ(workload.source->describe().seed, 0U);
  EXPECT_EQ(workload.batch, 1);
  EXPECT_EQ(workload.query_heads, 4);
  EXPECT_EQ(workload.kv_heads, 4);
  EXPECT_EQ(workload.query_len, 8);
  EXPECT_EQ(workload.key_len, 16);
  EXPECT_EQ(workload.head_dim, 32);
  EXPECT_EQ(workload.dtype, DType::kFloat32);
  EXPECT_EQ(workload.causal, false);
  EXPECT_FALSE(workload.scale.has_value());
}

TEST(Experiment, EverySectionIsRead) {
  const ExperimentFolder folder;
  const Experiment experiment = folder.read(
      "name: all\n"
      "seeds: {mask: [3, 18446744073709551615]}\n"
      "workload: {source: {kind: gaussian, seed: 7}, batch: 2, query_heads: 8, kv_heads: 2,\n"
      "  query_len: 8, key_len: 16, head_dim: 32, dtype: bfloat16, causal: true, scale: 0.25}\n"
      "pipelines: {dense: [], p: [plain]}\n"
      "devices: [cpu, cuda]\n"
      "kernels: [rows, auto, dense, tiles]\n"
      "check: {oracle_rows: all, tolerance: 1e-3}\n"
      "measure: {target: 1%, budget: 500ms}\n");
  EXPECT_EQ(experiment.mask_seeds, (std::vector<std::uint64_t>{3, 18446744073709551615ULL}));
  const WorkloadSpec& workload = workload_of(experiment, "workload");
  EXPECT_EQ(workload.source->describe().seed, 7U);
  EXPECT_EQ(workload.dtype, DType::kBFloat16);
  EXPECT_EQ(workload.causal, true);
  EXPECT_EQ(workload.scale, 0.25);
  EXPECT_EQ(experiment.devices, (Lines{"cpu", "cuda"}));
  const std::vector<std::string> kernels = {"rows", "auto", "dense", "tiles"};
  EXPECT_EQ(experiment.kernels, kernels);
  const CellRules& rules = experiment.checks.front();
  EXPECT_EQ(rules.check.oracle_rows, -1);
  EXPECT_EQ(rules.check.tolerance, 1e-3);
  EXPECT_EQ(rules.measure.target, 0.01);
  EXPECT_EQ(rules.measure.budget_ms, 500);
  ASSERT_EQ(experiment.pipelines.size(), 2U);
  EXPECT_TRUE(pipeline_of(experiment, "dense").maskers.empty());
}

TEST(Experiment, MaskersAreWrittenInThreeForms) {
  const ExperimentFolder folder;
  EXPECT_EQ(pipeline_texts(folder.read(with_pipelines(
                "pipelines: {p: [window_all, {window_all: 2%}, plain,\n"
                "  {window_all: {rate: 5%, parts: 7, reduce: max}}, {top: {budget: 9, weights: [1, "
                "-2.5]}}]}\n"))),
            Lines{"p: window_all() window_all(window=2%) plain() window_all(rate=5% parts=7 "
                  "reduce=max) top(budget=9 weights=[1, -2.5])"});
}

TEST(Experiment, AShareOfVisibleOrAllKeysIsATokensValue) {
  const ExperimentFolder folder;
  EXPECT_EQ(
      pipeline_texts(folder.read(with_pipelines(
          "pipelines: {p: [{window_all: {share: 5%, of: visible}},\n"
          "  {window_all: {window: {share: 5%, of: keys}}}, {top: {share: 7%, of: visible}},\n"
          "  {top: {budget: {share: 7%, of: keys}, share: 9%}}]}\n"))),
      Lines{"p: window_all(window=5% of visible) window_all(window=5%) top(budget=7% of "
            "visible) top(budget=7% share=9%)"});
}

TEST(Experiment, LetsAreSplicedAndNest) {
  const ExperimentFolder folder;
  EXPECT_EQ(pipeline_texts(folder.read(with_pipelines(
                "let: {both: [base, plain], base: [{window_all: 1}, {window_all: 2}]}\n"
                "pipelines: {p: [both, {top: 3}], q: [{top: 3}, base], r: both}\n"))),
            (Lines{"p: window_all(window=1) window_all(window=2) plain() top(budget=3)",
                   "q: top(budget=3) window_all(window=1) window_all(window=2)",
                   "r: window_all(window=1) window_all(window=2) plain()"}));
}

TEST(Experiment, PipelinesAreSweptInTheirMaskersAndLets) {
  const ExperimentFolder folder;
  EXPECT_EQ(
      pipeline_texts(folder.read(with_pipelines("let: {base: [{window_all: {sweep: [1, 2]}}]}\n"
                                                "pipelines:\n"
                                                "  p: [base, {top: {budget: {sweep: [5%, 10%]}}}]\n"
                                                "  q: [{sweep: [base, {top: 3}, plain]}]\n"))),
      (Lines{"p window_all=1 budget=5%: window_all(window=1) top(budget=5%)",
             "p window_all=1 budget=10%: window_all(window=1) top(budget=10%)",
             "p window_all=2 budget=5%: window_all(window=2) top(budget=5%)",
             "p window_all=2 budget=10%: window_all(window=2) top(budget=10%)",
             "q base window_all=1: window_all(window=1)",
             "q base window_all=2: window_all(window=2)", "q {top: 3}: top(budget=3)",
             "q plain: plain()"}));
}

TEST(Experiment, ZippedParametersStayPaired) {
  const ExperimentFolder folder;
  EXPECT_EQ(pipeline_texts(folder.read(with_pipelines(
                "pipelines: {p: [{window_all: {zip: {window: [1, 2], parts: [3, 4]}}}]}\n"))),
            (Lines{"p window=1 parts=3: window_all(window=1 parts=3)",
                   "p window=2 parts=4: window_all(window=2 parts=4)"}));
}

TEST(Experiment, FileParametersAreRelativeToTheExperiment) {
  const ExperimentFolder folder;
  folder.write("sub/table.bin", "x");
  const Experiment experiment =
      folder.read(with_pipelines("pipelines: {p: [{random: sub/../sub/table.bin}]}\n"));
  const MaskerUse& random = pipeline_of(experiment, "p").maskers.front();
  EXPECT_EQ(random.arguments->resolved().front().second,
            (folder.path() / "sub/table.bin").string());
}

TEST(Experiment, WorkloadsAreSweptInFileOrder) {
  const ExperimentFolder folder;
  const Experiment experiment = folder.read(with_workload(
      "workloads:\n"
      "  b: {source: {kind: gaussian, seed: {sweep: [1, 2]}}, query_heads: 4, head_dim: 32,\n"
      "      zip: {query_len: [8, 1], key_len: [8, 64]}}\n"
      "  a: {source: {kind: gaussian}, query_heads: 4, query_len: 1, key_len: 1, head_dim: 8}\n"));
  EXPECT_EQ(workload_labels(experiment),
            (Lines{"b seed=1 query_len=8 key_len=8", "b seed=1 query_len=1 key_len=64",
                   "b seed=2 query_len=8 key_len=8", "b seed=2 query_len=1 key_len=64", "a"}));
  const WorkloadSpec& zipped = workload_of(experiment, "b seed=1 query_len=1 key_len=64");
  EXPECT_EQ(zipped.query_len, 1);
  EXPECT_EQ(zipped.key_len, 64);
  EXPECT_EQ(zipped.position.line, 3);
}

TEST(Experiment, AFilePatternGivesOneWorkloadPerFileSorted) {
  const ExperimentFolder folder;
  for (const char* name : {"data/b.safetensors", "data/a.safetensors", "data/c.txt"}) {
    folder.write(name, "");
  }
  const Experiment experiment = folder.read(
      with_workload("workload: {source: {kind: safetensors, file: data/*.safetensors, query: qq},\n"
                    "           causal: {sweep: [true, false]}}\n"));
  EXPECT_EQ(workload_labels(experiment),
            (Lines{"workload a causal=true", "workload b causal=true", "workload a causal=false",
                   "workload b causal=false"}));
  const WorkloadSpec& of_b = workload_of(experiment, "workload b causal=true");
  const SourceDescription source = of_b.source->describe();
  EXPECT_EQ(source.file, (folder.path() / "data/b.safetensors").string());
  const SourceParameters tensors = {
      {"query", "qq"}, {"key", "k"}, {"value", "v"}, {"layout", "bhld"}};
  EXPECT_EQ(source.parameters, tensors);
  EXPECT_FALSE(of_b.batch.has_value());
}

TEST(Experiment, ANamedFileNeedsNoStemInItsLabel) {
  const ExperimentFolder folder;
  folder.write("one.safetensors", "");
  EXPECT_EQ(workload_labels(folder.read(
                with_workload("workload: {source: {kind: safetensors, file: one.safetensors}}\n"))),
            Lines{"workload"});
}

TEST(Experiment, ChecksAndMeasuresMultiply) {
  const ExperimentFolder folder;
  const Experiment experiment = folder.read(
      with_pipelines(kPipelines) +
      "check: {oracle_rows: {sweep: [0, 8]}}\nmeasure: {budget: {sweep: [1s, 20ms]}}\n");
  using RowsAndBudget = std::pair<std::int64_t, double>;
  std::vector<RowsAndBudget> swept;
  for (const CellRules& rules : experiment.checks) {
    swept.emplace_back(rules.check.oracle_rows, rules.measure.budget_ms);
  }
  EXPECT_EQ(swept, (std::vector<RowsAndBudget>{{0, 1000}, {0, 20}, {8, 1000}, {8, 20}}));
}

TEST(Experiment, SettingsAreReadLikeTheFile) {
  const ExperimentFolder folder;
  const Experiment experiment =
      folder.read(with_pipelines(kPipelines),
                  {{"workload.key_len", "{sweep: [32, 64]}"}, {"measure.budget", "9ms"}});
  EXPECT_EQ(workload_labels(experiment), (Lines{"workload key_len=32", "workload key_len=64"}));
  EXPECT_EQ(experiment.checks.front().measure.budget_ms, 9);
}

TEST(Grid, WorkloadsAreOutermostAndSeedsInnermost) {
  const ExperimentFolder folder;
  folder.write("t", "");
  const Experiment experiment = folder.read(
      "name: grid\n"
      "seeds: {mask: [5, 6]}\n"
      "workload: {source: {kind: gaussian}, query_heads: 1, query_len: 1, head_dim: 8,\n"
      "           key_len: {sweep: [1, 2]}}\n"
      "pipelines: {fixed: [plain], drawn: [{random: t}]}\n"
      "devices: [cpu, cuda]\n"
      "kernels: [auto, rows]\n"
      "check: {oracle_rows: {sweep: [0, 8]}}\n");
  const std::vector<Cell> cells = make_grid(experiment);
  // A pipeline that draws nothing has one seed: (4 + 8) cells per workload and check.
  ASSERT_EQ(cells.size(), 2U * 2U * 12U);
  std::vector<std::string> first;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    EXPECT_EQ(cells[i].number, i);
    EXPECT_EQ(cells[i].workload, i / 24);
    EXPECT_EQ(cells[i].check, i / 12 % 2);
    EXPECT_EQ(cells[i].pipeline, i % 12 < 4 ? 0U : 1U);
    if (i < 12) {
      first.push_back(cells[i].device + " " + cells[i].kernel + " " +
                      std::to_string(cells[i].mask_seed));
    }
  }
  EXPECT_EQ(first, (Lines{"cpu auto 5", "cpu rows 5", "cuda auto 5", "cuda rows 5", "cpu auto 5",
                          "cpu auto 6", "cpu rows 5", "cpu rows 6", "cuda auto 5", "cuda auto 6",
                          "cuda rows 5", "cuda rows 6"}));
}

TEST(Pipelines, AMappingIsTheListOfItsMaskers) {
  const ExperimentFolder folder;
  const Experiment experiment = folder.read(
      with_pipelines("let: {base: [plain, {top: {sweep: [1, 2]}}]}\n"
                     "pipelines:\n"
                     "  list: [base]\n"
                     "  mapping: {maskers: [base]}\n"
                     "  forms: {sweep: [[plain], {maskers: [plain, plain], only: prefill}]}\n"
                     "  zipped: {zip: {maskers: [[plain], [base]], only: [prefill, decode]}}\n"));
  EXPECT_EQ(pipeline_texts(experiment),
            (Lines{"list top=1: plain() top()", "list top=2: plain() top(budget=2)",
                   "mapping top=1: plain() top()", "mapping top=2: plain() top(budget=2)",
                   "forms [plain]: plain()",
                   "forms {maskers: [plain, plain], only: prefill}: plain() plain()",
                   "zipped maskers=[plain] only=prefill: plain()",
                   "zipped maskers=[base] only=decode: plain() top()",
                   "zipped maskers=[base] only=decode: plain() top(budget=2)"}));
  const auto only = [&](const std::string& label) { return pipeline_of(experiment, label).only; };
  EXPECT_EQ(only("list top=2"), std::nullopt);
  EXPECT_EQ(only("mapping top=2"), std::nullopt);
  EXPECT_EQ(only("forms {maskers: [plain, plain], only: prefill}"), WorkloadKind::kPrefill);
  EXPECT_EQ(only("zipped maskers=[plain] only=prefill"), WorkloadKind::kPrefill);
  // Two variants have this label: what a sweep inside a let-name sets is not in it.
  for (const PipelineSpec& pipeline : experiment.pipelines) {
    if (pipeline.label == "zipped maskers=[base] only=decode") {
      EXPECT_EQ(pipeline.only, WorkloadKind::kDecode);
    }
  }
}

// The labels of the pipelines of the grid's cells, by the label of their workload.
std::map<std::string, Lines> pipelines_by_workload(const Experiment& experiment) {
  std::map<std::string, Lines> found;
  for (const Cell& cell : make_grid(experiment)) {
    found[experiment.workloads[cell.workload].label].push_back(
        experiment.pipelines[cell.pipeline].label);
  }
  return found;
}

TEST(Grid, LeavesOutPipelinesForTheOtherKindOfWorkload) {
  const ExperimentFolder folder;
  const Experiment experiment = folder.read(
      "name: kinds\n"
      "workloads:\n"
      "  one: {source: {kind: gaussian}, query_heads: 1, query_len: 1, key_len: 8, head_dim: 8}\n"
      "  two: {source: {kind: gaussian}, query_heads: 1, query_len: 2, key_len: 8, head_dim: 8}\n"
      "  drawn: {source: {kind: gaussian}, query_heads: 1, query_len: 8, key_len: 8, head_dim: 8,\n"
      "          queries: 1}\n"
      "pipelines:\n"
      "  any: [plain]\n"
      "  p: {maskers: [plain], only: prefill}\n"
      "  d: {maskers: [plain], only: decode}\n"
      "  swept: {maskers: [plain], only: {sweep: [decode, prefill]}}\n");
  EXPECT_EQ(pipelines_by_workload(experiment),
            (std::map<std::string, Lines>{{"one", {"any", "d", "swept only=decode"}},
                                          {"two", {"any", "p", "swept only=prefill"}},
                                          {"drawn", {"any", "d", "swept only=decode"}}}));
}

TEST(Grid, ReadsTheKindOfAFileFromItsHeader) {
  const ExperimentFolder folder;
  // q is [2, 1, 8], one query, and so the file is for decode; k and v are [2, 4, 8].
  const std::string header = R"({"q":{"dtype":"F32","shape":[2,1,8],"data_offsets":[0,64]},)"
                             R"("k":{"dtype":"F32","shape":[2,4,8],"data_offsets":[64,320]},)"
                             R"("v":{"dtype":"F32","shape":[2,4,8],"data_offsets":[320,576]}})";
  std::string size(8, '\0');
  size[0] = static_cast<char>(header.size());
  folder.write("step.safetensors", size + header + std::string(576, '\0'));
  folder.write("broken.safetensors", "");
  const Experiment experiment = folder.read(
      "name: kinds\n"
      "workload: {source: {kind: safetensors, file: '*.safetensors'}}\n"
      "pipelines:\n"
      "  p: {maskers: [plain], only: prefill}\n"
      "  d: {maskers: [plain], only: decode}\n");
  // The kind of a file that cannot be read is unknown: it keeps every pipeline.
  EXPECT_EQ(
      pipelines_by_workload(experiment),
      (std::map<std::string, Lines>{{"workload step", {"d"}}, {"workload broken", {"p", "d"}}}));
}

}  // namespace
}  // namespace maskerade
