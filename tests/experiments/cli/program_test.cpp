#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

TEST_F(Program, RunsAnExperimentAndWritesTableAndJson) {
  write("tiny.yaml", kTiny);
  const ProgramResult finished = run("run tiny.yaml --json results.jsonl --threads 2");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  for (const char* text : {"streaming", "topk budget=5%", "topk budget=100%", "density", "speedup",
                           "\n4 cells: 4 ok, 0 failed, 0 not matched, 0 unreachable, 0 "
                           "unavailable, 0 not run in "}) {
    EXPECT_NE(without_noise(finished.out).find(text), std::string::npos) << text << "\n"
                                                                         << finished.out;
  }
  EXPECT_NE(finished.err.find("[4/4] workload: topk budget=100%: "), std::string::npos)
      << finished.err;
  const std::vector<nlohmann::json> cells = json_lines("results.jsonl");
  ASSERT_EQ(cells.size(), 4U);
  EXPECT_EQ(cells.front().at("pipeline"), "dense");
  const nlohmann::json cell = cell_of("results.jsonl", "topk budget=5%");
  EXPECT_EQ(cell.at("experiment"), "tiny");
  EXPECT_EQ(cell.at("params").at("oracle_topk").at("budget"), "5%");
  EXPECT_EQ(cell.at("threads"), 2);
  EXPECT_TRUE(
      cell.at("program_version").get<std::string>().starts_with(MASKERADE_TEST_VERSION "+"));
  EXPECT_GT(cell.at("keys_scored"), 0);
  EXPECT_LT(cell.at("oracle_error"), 1e-5);
  for (const std::string stage : {"prepare", "select", "plan", "attend", "total", "dense"}) {
    const double median = cell.at(stage + "_ms");
    EXPECT_LE(cell.at(stage + "_ms_lo"), median);
    EXPECT_GE(cell.at(stage + "_ms_hi"), median);
    EXPECT_LE(cell.at(stage + "_ms_min"), median);
  }
  // This pipeline selects every visible key, so that nothing is lost.
  const nlohmann::json everything = cell_of("results.jsonl", "topk budget=100%");
  EXPECT_NEAR(everything.at("attention_recall"), 1, 1e-5);
  EXPECT_LT(everything.at("rel_l2_error"), 1e-5);
  EXPECT_EQ(everything.at("density"), 1);
}

TEST_F(Program, ShowsWhichKeysACellSelects) {
  write("tiny.yaml", kTiny);
  const ProgramResult shown = run("show tiny.yaml --cell 1 --head 1 --queries 0:3 --keys 0:8");
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_NE(
      shown.out.find("cell 1, workload: streaming\nbatch 0, head 1, queries 0 to 2 by 1, keys "
                     "0 to 7 by 1\n         0 "),
      std::string::npos)
      << shown.out;
  EXPECT_NE(shown.out.find("█"), std::string::npos) << shown.out;
  const ProgramResult refused = run("show tiny.yaml --keys 8:8");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("--keys 8:8: give BEGIN:END with 0 <= BEGIN < END <= "),
            std::string::npos)
      << refused.err;
  EXPECT_EQ(run("show tiny.yaml --head 99").exit_code, 2);
  EXPECT_EQ(run("show tiny.yaml --cell 99").exit_code, 2);
}

TEST_F(Program, ExitsWith1WhenACellFailsAndRunsTheRest) {
  write("tiny.yaml", kTiny);
  const ProgramResult finished = run("run tiny.yaml --json results.jsonl --set workload.scale=1e8");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_NE(finished.out.find("FAILED"), std::string::npos);
  EXPECT_NE(finished.out.find("4 cells: 0 ok, 4 failed"), std::string::npos) << finished.out;
  EXPECT_NE(finished.out.find("\n4 failed, by cause:\n  4 (cells 0-3): no row can be judged"),
            std::string::npos)
      << finished.out;
  EXPECT_NE(
      finished.out.find("\n      maskerade run tiny.yaml --set workload.scale=1e8 --cell 0\n"),
      std::string::npos)
      << finished.out;
  EXPECT_EQ(json_lines("results.jsonl").size(), 4U);
}

TEST_F(Program, CountsNoisyCellsAsErrorsWhenStrict) {
  write("tiny.yaml", kTiny);
  const std::string noisy = "run tiny.yaml --set measure.target=0.000001% ";
  EXPECT_EQ(run(noisy).exit_code, 0);
  const ProgramResult strict = run(noisy + "--strict --json results.jsonl");
  EXPECT_EQ(strict.exit_code, 1);
  EXPECT_NE(strict.out.find("; 4 noisy cells are an error (--strict)\n"), std::string::npos)
      << strict.out;
  EXPECT_EQ(cell_of("results.jsonl", "streaming").at("timing"), "noisy");
  const ProgramResult lenient =
      run("run tiny.yaml --set measure.target=99% --set measure.budget=500ms --strict");
  const bool is_noisy = lenient.out.find("(--strict)") != std::string::npos;
  EXPECT_EQ(lenient.exit_code, is_noisy ? 1 : 0) << lenient.out;
}

TEST_F(Program, PrintsTheLastLinesAloneWhenQuiet) {
  write("tiny.yaml", kTiny);
  const ProgramResult finished = run("run tiny.yaml --quiet");
  EXPECT_TRUE(finished.out.starts_with("4 cells: 4 ok")) << finished.out;
  EXPECT_EQ(std::count(finished.out.begin(), finished.out.end(), '\n'), 1) << finished.out;
  EXPECT_EQ(finished.err, "");
  const ProgramResult failed = run("run tiny.yaml --quiet --set workload.scale=1e8");
  EXPECT_TRUE(failed.out.starts_with("4 cells: 0 ok, 4 failed")) << failed.out;
  EXPECT_NE(failed.out.find("no row can be judged"), std::string::npos);
}

TEST_F(Program, MakesAMissedTargetAFailureWhenTold) {
  write("jump.yaml", R"(name: jump
workload: {source: {kind: gaussian, seed: 1}, query_heads: 1, kv_heads: 1, query_len: 1,
           key_len: 4, head_dim: 8, causal: false}
pipelines: {p: [sink]}
match: {density: 60%}
measure: {target: 20%, budget: 20ms}
)");
  const ProgramResult kept = run("run jump.yaml --json kept.jsonl");
  EXPECT_EQ(kept.exit_code, 0) << kept.out << kept.err;
  EXPECT_NE(without_noise(kept.out).find("2 cells: 1 ok, 0 failed, 1 not matched"),
            std::string::npos)
      << kept.out;
  EXPECT_EQ(cell_of("kept.jsonl", "p").at("match_status"), "nearest");
  EXPECT_EQ(cell_of("kept.jsonl", "p").at("match_on_miss"), "keep");
  const ProgramResult failed = run("run jump.yaml --set match.on_miss=fail --json failed.jsonl");
  EXPECT_EQ(failed.exit_code, 1);
  const std::string reason = cell_of("failed.jsonl", "p").at("reason");
  EXPECT_TRUE(reason.starts_with(
      "not matched: 50.0 % instead of 60 % (density, nearest at sink.tokens 2; "))
      << reason;
  EXPECT_EQ(cell_of("failed.jsonl", "p").at("density"), 0.5) << "it was measured";
}

TEST_F(Program, ExitsWith0WhenCellsAreUnavailable) {
  write("tiny.yaml", kTiny);
  const ProgramResult finished =
      run("run tiny.yaml --set 'devices=[cuda]'", "CUDA_VISIBLE_DEVICES=");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_NE(finished.out.find("unavailable: th"), std::string::npos);
  EXPECT_NE(
      finished.out.find("4 cells: 0 ok, 0 failed, 0 not matched, 0 unreachable, 4 unavailable"),
      std::string::npos);
}

TEST_F(Program, DryRunListsTheCellsAndMeasuresNothing) {
  write("tiny.yaml", kTiny);
  const ProgramResult finished = run("run tiny.yaml --dry-run --json results.jsonl");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_NE(finished.out.find("workload: (1, 4, 2, 32, 80, 16) float16, causal, gaussian seed 1"),
            std::string::npos)
      << finished.out;
  EXPECT_NE(finished.out.find("4 cells"), std::string::npos);
  EXPECT_EQ(finished.out.find("speedup"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "results.jsonl"));
}

TEST_F(Program, ExitsWith2ForWhatAUserGotWrong) {
  write("tiny.yaml", kTiny);
  write("unknown.yaml", std::string(kTiny) + "mesure: {}\n");
  write("data.yaml",
        "name: data\nworkload: {source: {kind: safetensors, file: none.safetensors}}\n"
        "pipelines: {p: [sink]}\n");
  for (const std::string arguments : {"",
                                      "fly",
                                      "run",
                                      "run nowhere.yaml",
                                      "run unknown.yaml",
                                      "run data.yaml",
                                      "run data.yaml --dry-run",
                                      "run tiny.yaml --no-such-option",
                                      "run tiny.yaml --threads 0",
                                      "run tiny.yaml --threads many",
                                      "run tiny.yaml --chunk-rows 0",
                                      "run tiny.yaml --set nonsense",
                                      "run tiny.yaml --set workload.query_heads=5",
                                      "run tiny.yaml --set pipelines.dense=[sink]",
                                      "run tiny.yaml --plugin tiny.yaml",
                                      "run tiny.yaml --json nowhere/results.jsonl",
                                      "run tiny.yaml --csv nowhere/results.csv",
                                      "run tiny.yaml --csv same --json same",
                                      "run tiny.yaml --resume",
                                      "list snk"}) {
    const ProgramResult finished = run(arguments);
    EXPECT_EQ(finished.exit_code, 2) << arguments << "\n" << finished.out << finished.err;
    EXPECT_NE(finished.err.find("maskerade: error: "), std::string::npos) << arguments;
    EXPECT_EQ(finished.err.find("internal"), std::string::npos) << finished.err;
  }
}

TEST_F(Program, ListsMaskersAndTheirParameters) {
  const ProgramResult all = run("list");
  EXPECT_EQ(all.exit_code, 0) << all.err;
  for (const char* text : {"sink: ", "local: ", "oracle_topk: "}) {
    EXPECT_NE(all.out.find(text), std::string::npos) << text;
  }
  const ProgramResult one = run("list local");
  EXPECT_EQ(one.exit_code, 0) << one.err;
  for (const char* text : {"arXiv:2004.05150", "depends on  shape", "local.so", ", built in\n",
                           "window", "tokens", "512", ">= 0", "keys, the query's own included"}) {
    EXPECT_NE(one.out.find(text), std::string::npos) << text << "\n" << one.out;
  }
  EXPECT_EQ(one.out.find("sink"), std::string::npos);
  EXPECT_EQ(one.out.find("the index depends on it"), std::string::npos);
  EXPECT_NE(run("list quest").out.find("keys of a page; the index depends on it"),
            std::string::npos);
  EXPECT_NE(
      run("list snk").err.find("there is no masker or preset \"snk\"; did you mean \"sink\"?"),
      std::string::npos);
}

TEST_F(Program, TellsAboutItselfAndItsPlugins) {
  EXPECT_TRUE(run("--version").out.starts_with("maskerade " MASKERADE_TEST_VERSION "+"));
  const ProgramResult info = run("info", "MASKERADE_PLUGIN_PATH=" + folder_.string());
  EXPECT_EQ(info.exit_code, 0) << info.err;
  EXPECT_NE(info.out.find(MASKERADE_TEST_VERSION), std::string::npos);
  EXPECT_NE(info.out.find(folder_.string()), std::string::npos);
  EXPECT_NE(info.out.find("\ncommit      "), std::string::npos) << info.out;
  EXPECT_NE(info.out.find("\nbuilt with  "), std::string::npos) << info.out;
  EXPECT_NE(info.out.find("devices     cpu; cuda: "), std::string::npos);
  EXPECT_EQ(run("--help").exit_code, 0);
  EXPECT_NE(run("run --help").out.find("Example: maskerade run"), std::string::npos);
}

TEST_F(Program, CalibratesOnceAndRunsByIt) {
  write("tiny.yaml", kTiny);
  EXPECT_NE(run("info").out.find("cost model  default\n"), std::string::npos);
  EXPECT_EQ(run("run tiny.yaml --json before.jsonl").exit_code, 0);
  EXPECT_EQ(cell_of("before.jsonl", "streaming").at("cost_model"), "default");

  const ProgramResult calibrated = run("calibrate");
  EXPECT_EQ(calibrated.exit_code, 0) << calibrated.err;
  for (const char* text : {"default", "bfloat16, more rows", "saved in ", "/cache/maskerade/"}) {
    EXPECT_NE(calibrated.out.find(text), std::string::npos) << text << "\n" << calibrated.out;
  }
  EXPECT_NE(run("info").out.find("cost model  calibrated 2"), std::string::npos);
  measures_peaks_ = true;
  EXPECT_EQ(run("run tiny.yaml --json after.jsonl").exit_code, 0);
  measures_peaks_ = false;
  EXPECT_TRUE(cell_of("after.jsonl", "dense").at("cost_model").is_null())
      << "the dense reference is not chosen";
  const nlohmann::json streaming = cell_of("after.jsonl", "streaming");
  EXPECT_TRUE(streaming.at("cost_model").get<std::string>().starts_with("calibrated 2"));
  EXPECT_GT(streaming.at("attainable_ms"), 0);
  EXPECT_GT(streaming.at("peak_flops_per_second"), 0);

  for (const auto& file : std::filesystem::directory_iterator(folder_ / "cache/maskerade")) {
    std::ofstream(file.path()) << "{}";
  }
  const ProgramResult broken = run("run tiny.yaml --json broken.jsonl");
  EXPECT_EQ(broken.exit_code, 0) << broken.err;
  EXPECT_NE(
      broken.err.find("is not a calibration that can be read; kernels are chosen by the default "
                      "cost model"),
      std::string::npos)
      << broken.err;
  EXPECT_EQ(cell_of("broken.jsonl", "streaming").at("cost_model"), "default");
  EXPECT_NE(run("info").out.find("is not a calibration"), std::string::npos);
}

TEST_F(Program, SaysWhereACalibrationCannotBeSaved) {
  write("a_file", "");
  const ProgramResult finished =
      run("calibrate", "XDG_CACHE_HOME='" + folder_.string() + "/a_file'");
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_NE(finished.err.find("cannot be written; set XDG_CACHE_HOME to a folder that can be "
                              "written"),
            std::string::npos)
      << finished.err;
}

TEST_F(Program, PrintsNoControlCharactersOfForeignTexts) {
  const std::string error = run("run 'a\x1b[31m.yaml'").err;
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
  EXPECT_NE(error.find("a\\x1b[31m.yaml"), std::string::npos) << error;
}

// The names of the presets in presets.yaml: what stands before the colon of each unindented line.
std::vector<std::string> preset_names() {
  std::ifstream file(std::filesystem::path(EXPERIMENTS_FOLDER) / "presets.yaml");
  std::vector<std::string> names;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == ' ' || line[0] == '#') continue;
    names.push_back(line.substr(0, line.find(':')));
  }
  return names;
}

TEST_F(Program, RunsEveryPreset) {
  std::string pipelines;
  for (const std::string& name : preset_names()) {
    pipelines += "  my_" + name + ": {preset: " + name + "}\n";
  }
  write(
      "presets.yaml",
      "name: presets\n"
      "workloads:\n"
      "  decode: {source: {kind: structured, seed: 1}, query_heads: 4, kv_heads: 2, query_len: 1,\n"
      "           key_len: 3000, head_dim: 32}\n"
      "  prefill: {source: {kind: structured, seed: 1}, query_heads: 2, kv_heads: 1,\n"
      "            query_len: 256, key_len: 1500, head_dim: 32, causal: true}\n"
      "pipelines:\n" +
          pipelines + "measure: {budget: 1ms}\ncheck: {oracle_rows: 16}\n");
  const ProgramResult finished = run("run presets.yaml --no-peaks --json cells.jsonl");
  EXPECT_EQ(finished.exit_code, 0) << finished.out << finished.err;
  std::map<std::string, double> densities;
  for (const nlohmann::json& cell : json_lines("cells.jsonl")) {
    EXPECT_EQ(cell.at("status"), "ok") << cell;
    densities[cell.at("pipeline").get<std::string>()] = cell.at("density").get<double>();
  }
  EXPECT_GE(preset_names().size(), 4U);
  EXPECT_EQ(densities.size(), preset_names().size() + 1) << "and the dense reference";
  for (const auto& [pipeline, density] : densities) EXPECT_GT(density, 0) << pipeline;
  EXPECT_EQ(finished.err.find("is not run"), std::string::npos) << finished.err;
}

TEST_F(Program, ListsPresets) {
  const ProgramResult one = run("list quest_paper");
  EXPECT_EQ(one.exit_code, 0);
  EXPECT_NE(one.out.find("quest_paper: pages of 16 keys"), std::string::npos) << one.out;
  EXPECT_NE(one.out.find("paper     arXiv:2406.10774"), std::string::npos) << one.out;
  EXPECT_NE(one.out.find("overrides: [{layers: [0, 1], use: dense}]"), std::string::npos)
      << one.out;
  const std::string all = run("list").out;
  for (const std::string& name : preset_names()) {
    EXPECT_NE(all.find("\n" + name + ": "), std::string::npos) << name;
  }
  EXPECT_NE(
      run("list quest_papre")
          .err.find("there is no masker or preset \"quest_papre\"; did you mean \"quest_paper\"?"),
      std::string::npos);
}

TEST_F(Program, NotesAnOverrideThatAppliesToNoWorkload) {
  write("idle.yaml",
        "name: idle\n"
        "workload: {source: {kind: gaussian}, query_heads: 1, query_len: 4, key_len: 8, head_dim: "
        "4}\n"
        "pipelines: {p: [sink], q: [local]}\n"
        "overrides:\n"
        "  - {layers: [0, 1], use: dense}\n"
        "  - {heads: [0], use: p}\n"
        "measure: {budget: 1ms}\n");
  const ProgramResult finished = run("run idle.yaml --no-peaks");
  EXPECT_EQ(finished.exit_code, 0);
  const std::string note =
      "idle.yaml:5:5: the override of layers 0, 1 applies to no workload: it is not used";
  const auto first = finished.err.find(note);
  EXPECT_NE(first, std::string::npos) << finished.err;
  EXPECT_EQ(finished.err.find("applies to no workload", first + note.size()), std::string::npos)
      << "once, though it stands in every pipeline, and none of the other: " << finished.err;
}

TEST_F(Program, NotesAPipelineThatNoWorkloadIsFor) {
  write("idle.yaml",
        "name: idle\n"
        "workload: {source: {kind: gaussian}, query_heads: 1, query_len: 4, key_len: 8, head_dim: "
        "4}\n"
        "pipelines: {p: {maskers: [sink], only: decode}}\n"
        "measure: {budget: 1ms}\n");
  const ProgramResult finished = run("run idle.yaml --no-peaks --json cells.jsonl");
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_NE(
      finished.err.find("note: pipeline \"p\" is for decode only and no workload is decode: it "
                        "is not run"),
      std::string::npos)
      << finished.err;
  const std::vector<nlohmann::json> cells = json_lines("cells.jsonl");
  ASSERT_EQ(cells.size(), 1U);
  EXPECT_EQ(cells.front().at("pipeline"), "dense");
}

// 401 cells of a second each: a run that is far from its end when its first cell is finished.
constexpr std::size_t kLongCells = 401;
constexpr const char* kLong = R"(name: long
seeds: {mask: [0]}
workload: {source: {kind: gaussian, seed: 1}, query_heads: 1, kv_heads: 1, query_len: 64,
           key_len: 64, head_dim: 8}
pipelines:
  p: [{sink: {sweep: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]}},
      {local: {sweep: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]}}]
measure: {target: 0.0001%, budget: 1s}
)";

TEST_F(Program, KeepsFinishedCellsWhenKilled) {
  write("long.yaml", kLong);
  const pid_t child = start({"run", "long.yaml", "--json", "results.jsonl", "--no-peaks"});
  await_line(child, "results.jsonl");
  kill(child, SIGKILL);
  wait_for(child);
  const std::vector<nlohmann::json> cells = json_lines("results.jsonl");
  ASSERT_GE(cells.size(), 1U);
  EXPECT_LT(cells.size(), kLongCells);
  EXPECT_EQ(cells.front().at("pipeline"), "dense");
}

TEST_F(Program, ShowsFinishedCellsWhenInterrupted) {
  write("long.yaml", kLong);
  const pid_t child = start({"run", "long.yaml", "--json", "results.jsonl", "--no-peaks"});
  await_line(child, "results.jsonl");
  kill(child, SIGINT);
  EXPECT_EQ(wait_for(child), 130);
  EXPECT_LT(json_lines("results.jsonl").size(), kLongCells);
  EXPECT_NE(read("out.txt").find("dense"), std::string::npos);
  EXPECT_NE(read("out.txt").find("0 failed"), std::string::npos);
  const std::size_t done = json_lines("results.jsonl").size();
  EXPECT_NE(
      read("out.txt").find(std::to_string(kLongCells) + " cells: " + std::to_string(done) + " ok"),
      std::string::npos)
      << read("out.txt");
  EXPECT_NE(read("err.txt").find("maskerade: note: interrupted: " + std::to_string(done) + " of " +
                                 std::to_string(kLongCells) +
                                 " done; with --out a run can be continued\n"),
            std::string::npos)
      << read("err.txt");
}

}  // namespace
}  // namespace maskerade
