#include "experiments/run/cell_keys.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "experiments/data/fingerprint.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/run/routed_pipeline.hpp"
#include "framework/base/sha256.hpp"
#include "test_experiment.hpp"

namespace maskerade {
namespace {

constexpr const char* kSmall = R"(
name: small
seeds: {mask: [5]}
workload: {source: {kind: gaussian, seed: 1}, query_heads: 2, kv_heads: 2, query_len: 8,
           key_len: 8, head_dim: 4, dtype: float16, causal: true}
pipelines: {p: [{sink: 2}, {local: 3}, {unreliable: samples}]}
check: {oracle_rows: 4}
measure: {target: 50%, budget: 10ms}
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw Error("there is no " + from);
  return text.replace(at, from.size(), to);
}

// The key of each job, beside its pipeline's label. `change` is applied to what is known of a job
// before its key is made.
NamedTexts keys_of(const std::string& yaml,
                   const RunOptions& options = {.threads = Threads(2)},
                   const std::function<void(CellResult&)>& change = {}) {
  const Experiment experiment = experiment_of(yaml);
  CellKeys keys(experiment);
  NamedTexts all;
  for (const Job& job : make_jobs(experiment)) {
    const Workload workload = load_workload(experiment.workloads[job.cell.workload]);
    const WorkloadDescription description = describe_workload(workload);
    CellResult result = describe_job(experiment, job, options);
    result.facts = description.facts;
    if (change) change(result);
    all.emplace_back(result.pipeline,
                     keys.next_key(job, pipeline_of(experiment, job, &description), result,
                                   data_fingerprint(workload.inputs(), options.threads)));
  }
  return all;
}

// The key of the only cell of the pipeline p.
std::string key_of_p(const std::string& yaml,
                     const RunOptions& options = {.threads = Threads(2)},
                     const std::function<void(CellResult&)>& change = {}) {
  return value_of(keys_of(yaml, options, change), "p");
}

// The only job of a pipeline, or the dense reference. Throws Error unless there is exactly one.
Job job_of(const Experiment& experiment, const std::string& pipeline) {
  std::vector<std::pair<std::string, Job>> jobs;
  for (const Job& job : make_jobs(experiment)) {
    jobs.emplace_back(job.is_dense_reference ? std::string(kDenseName)
                                             : experiment.pipelines.at(job.cell.pipeline).label,
                      job);
  }
  return value_of(jobs, pipeline);
}

TEST(CellKeys, AreTheSameInEveryRunAndDifferByCell) {
  const NamedTexts keys = keys_of(kSmall);
  ASSERT_EQ(names_of(keys), (Names{"dense", "p"}));
  EXPECT_EQ(value_of(keys, "dense").size(), 64U);
  EXPECT_NE(value_of(keys, "dense"), value_of(keys, "p"));
  EXPECT_EQ(keys, keys_of(kSmall));
}

TEST(CellKeys, DifferWhenAnythingThatCountsDoes) {
  std::set<std::string> seen = {key_of_p(kSmall)};
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"name: small", "name: other"},
           {"[5]", "[6]"},
           {"seed: 1", "seed: 2"},
           {"key_len: 8", "key_len: 9"},
           {"float16", "bfloat16"},
           {"causal: true", "causal: false"},
           {"causal: true", "causal: true, scale: 0.25"},
           {"check:", "overrides: [{heads: [0], use: dense}]\ncheck:"},
           {"check:", "overrides: [{heads: [1], use: dense}]\ncheck:"},
           {"check:", "let: {l: [{sink: 1}]}\noverrides: [{heads: [1], use: l}]\ncheck:"},
           {"check:", "let: {l: [{sink: 2}]}\noverrides: [{heads: [1], use: l}]\ncheck:"},
           {"{sink: 2}, {local: 3}", "{local: 3}, {sink: 2}"},
           {"{sink: 2}", "{sink: 3}"},
           {"{sink: 2}", "{sink: 25%}"},
           {"oracle_rows: 4", "oracle_rows: 5"},
           {"oracle_rows: 4", "oracle_rows: 4, tolerance: 1e-3"},
           {"50%", "60%"},
           {"10ms", "11ms"},
           {"check:", "kernels: [rows]\ncheck:"},
           {"check:", "devices: [cuda]\ncheck:"},
           {"check:", "match: {density: 50%}\ncheck:"},
           {"check:", "match: {density: 60%}\ncheck:"},
           {"check:", "match: {rel_l2_error: 50%}\ncheck:"},
           {"check:", "match: {density: 50%, tolerance: 2%}\ncheck:"},
           {"check:", "match: {density: 50%, parameter: sink.tokens}\ncheck:"}}) {
    EXPECT_TRUE(seen.insert(key_of_p(replaced(kSmall, from, to))).second) << to;
  }
  const NamedTexts of_another_name = keys_of(replaced(kSmall, "{p:", "{q:"));
  EXPECT_TRUE(seen.insert(value_of(of_another_name, "q")).second);
  EXPECT_TRUE(seen.insert(key_of_p(kSmall, {.threads = Threads(1)})).second);
  EXPECT_TRUE(seen.insert(key_of_p(kSmall, {.threads = Threads(2), .chunk_rows = 7})).second);
  const RunOptions options{.threads = Threads(2)};
  const auto on_another_machine = [](CellResult& result) { result.machine = "another"; };
  const auto by_another_version = [](CellResult& result) { result.program_version = "9.9.9"; };
  EXPECT_TRUE(seen.insert(key_of_p(kSmall, options, on_another_machine)).second);
  EXPECT_TRUE(seen.insert(key_of_p(kSmall, options, by_another_version)).second);
  // The same rows, as the steps of a decode trace.
  const auto by_steps = [](CellResult& result) { result.decode_steps = 4; };
  EXPECT_TRUE(seen.insert(key_of_p(kSmall, options, by_steps)).second);
}

TEST(CellKeys, DependOnTheSeedsOfACoverageWhereAGuaranteeIsStated) {
  const std::string more = replaced(kSmall, "oracle_rows: 4", "oracle_rows: 4, coverage_seeds: 9");
  const std::string rows =
      replaced(more, "coverage_seeds: 9", "coverage_seeds: 9, coverage_rows: 2");
  EXPECT_EQ(key_of_p(more), key_of_p(kSmall));
  const auto stated = [](const std::string& yaml) {
    return key_of_p(replaced(yaml, "{unreliable: samples}", "{adaptive_sampling: 10%}"));
  };
  EXPECT_EQ((std::set<std::string>{stated(kSmall), stated(more), stated(rows)}.size()), 3U);
}

TEST(CellKeys, AreTheSameWhereverTheCellStandsInTheGrid) {
  const std::string more = replaced(kSmall, "{p:", "{before: [{sink: 1}], p:");
  ASSERT_EQ(names_of(keys_of(more)), (Names{"dense", "before", "p"}));
  EXPECT_EQ(key_of_p(more), key_of_p(kSmall));
}

TEST(CellKeys, LeaveOutOverridesOfOtherLayers) {
  const std::string other =
      replaced(kSmall, "check:", "overrides: [{layers: [7], use: dense}]\ncheck:");
  EXPECT_EQ(keys_of(other), keys_of(kSmall));
}

TEST(CellKeys, TellRepeatedCellsApart) {
  const Experiment experiment = experiment_of(kSmall);
  const Job job = job_of(experiment, "p");
  const Pipeline pipeline = pipeline_of(experiment, job, nullptr);
  const auto three_keys = [&] {
    CellKeys keys(experiment);
    const CellResult result = describe_job(experiment, job, {.threads = Threads(1)});
    std::vector<std::string> all;
    for (int i = 0; i < 3; ++i) all.push_back(keys.next_key(job, pipeline, result, "data"));
    return all;
  };
  const std::vector<std::string> keys = three_keys();
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), 3U);
  EXPECT_EQ(keys, three_keys());
}

TEST(CellKeys, DependOnWhatAFileHoldsAndNotOnWhereItLies) {
  const std::filesystem::path folder = testing::TempDir();
  const auto keys_with = [&](const std::string& name, const std::string& content) {
    const std::filesystem::path file = folder / name;
    std::ofstream(file) << content;
    const std::string yaml =
        replaced(kSmall, "{sink: 2}", "{count_from_file: '" + file.string() + "'}");
    const std::string key = key_of_p(yaml);
    std::filesystem::remove(file);
    return key;
  };
  const std::string key = keys_with("cell_keys_a.txt", "1");
  EXPECT_EQ(keys_with("cell_keys_b.txt", "1"), key);
  EXPECT_NE(keys_with("cell_keys_a.txt", "2"), key);
}

TEST(CellKeys, NoticeAFileThatChanged) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "cell_keys_c.txt";
  std::ofstream(file) << "1";
  const Experiment experiment =
      experiment_of(replaced(kSmall, "{sink: 2}", "{from_file: '" + file.string() + "'}"));
  const CellKeys keys(experiment);
  const auto changed_file = [&](const std::string& pipeline) {
    return keys.changed_file(pipeline_of(experiment, job_of(experiment, pipeline), nullptr));
  };
  EXPECT_EQ(changed_file("p"), "");
  std::ofstream(file) << "2";
  EXPECT_EQ(changed_file("dense"), "") << "the dense reference reads none";
  EXPECT_EQ(changed_file("p"), file.string());
  std::filesystem::remove(file);
  EXPECT_EQ(changed_file("p"), file.string());
}

TEST(CellKeys, NameTheHashesOfTheLibraries) {
  const Experiment experiment = experiment_of(kSmall);
  const CellKeys keys(experiment);
  const auto plugins_of = [&](const std::string& pipeline) {
    return keys.plugins_of(pipeline_of(experiment, job_of(experiment, pipeline), nullptr));
  };
  EXPECT_TRUE(plugins_of("dense").empty());
  const NamedTexts plugins = plugins_of("p");
  ASSERT_EQ(names_of(plugins), (Names{"sink", "local", "unreliable"}));
  EXPECT_EQ(value_of(plugins, "unreliable"),
            sha256_of_file(std::filesystem::path(MASKERADE_TEST_PLUGINS) / "unreliable.so"));
}

}  // namespace
}  // namespace maskerade
