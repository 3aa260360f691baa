#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "framework/base/philox.hpp"
#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

// Runs the program and looks into the results database of its output folder `out`.
class Output : public Program {
 protected:
  std::filesystem::path database() const { return folder_ / "out" / "results.sqlite"; }
  // Runs a statement of SQL on the database; returns the first column of its rows.
  std::vector<std::string> query(const std::string& sql) const {
    sqlite3* opened = nullptr;
    std::vector<std::string> rows;
    if (sqlite3_open(database().c_str(), &opened) != SQLITE_OK) {
      ADD_FAILURE() << "there is no database";
      sqlite3_close(opened);
      return rows;
    }
    sqlite3_busy_timeout(opened, 10'000);
    const auto add = [](void* to, int, char** values, char**) {
      static_cast<std::vector<std::string>*>(to)->emplace_back(values[0] == nullptr ? ""
                                                                                    : values[0]);
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(opened, sql.c_str(), add, &rows, nullptr), SQLITE_OK)
        << sqlite3_errmsg(opened);
    sqlite3_close(opened);
    return rows;
  }
  // Expects that the program refuses a command line with exit code 2 and this text alone.
  void expect_refused(const std::string& arguments, const std::string& text) const {
    const ProgramResult finished = run(arguments);
    EXPECT_EQ(finished.exit_code, 2) << arguments;
    EXPECT_EQ(finished.err, "maskerade: error: " + text + "\n");
  }
};

// The bytes of a safetensors file with q, k and v of one head, two tokens and head_dim 4.
std::string small_tensors() {
  const std::string header = R"({"q":{"dtype":"F32","shape":[1,1,2,4],"data_offsets":[0,32]},)"
                             R"("k":{"dtype":"F32","shape":[1,1,2,4],"data_offsets":[32,64]},)"
                             R"("v":{"dtype":"F32","shape":[1,1,2,4],"data_offsets":[64,96]}})";
  std::string whole(8, '\0');
  whole[0] = static_cast<char>(header.size());
  whole += header + std::string(96, '\x3f');
  return whole;
}

TEST_F(Output, HoldsTheCellsThatTheExportsHold) {
  write("tiny.yaml", kTiny);
  const ProgramResult finished = run("run tiny.yaml --out out --json cells.jsonl --csv cells.csv");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_NE(finished.out.find("results in out/results.sqlite\n"), std::string::npos);
  EXPECT_EQ(query("SELECT pipeline FROM cells ORDER BY cell"),
            (std::vector<std::string>{"dense", "streaming", "topk budget=5%", "topk budget=100%"}));
  EXPECT_EQ(query("SELECT count(*) FROM heads"), std::vector<std::string>{"16"});
  EXPECT_EQ(query("SELECT count(*) FROM steps"), std::vector<std::string>{"0"});
  EXPECT_EQ(json_lines("cells.jsonl").size(), 4U);
  const nlohmann::json topk = cell_of("cells.jsonl", "topk budget=5%");
  EXPECT_EQ(query("SELECT total_ms = " + topk.at("total_ms").dump() +
                  " FROM cells WHERE pipeline = 'topk budget=5%'"),
            std::vector<std::string>{"1"});
  EXPECT_EQ(topk.at("plugins").at("sink").get<std::string>().size(), 64U);
  const std::string csv = read("cells.csv");
  EXPECT_TRUE(csv.starts_with("experiment,workload,cell,pipeline,status,")) << csv;
  EXPECT_NE(csv.find("\r\ntiny,workload,3,topk budget=100%,ok,"), std::string::npos);
}

TEST_F(Output, HoldsTheStepsOfADecodeTrace) {
  write("trace.yaml", R"(name: trace
workload: {source: {kind: structured, seed: 1}, query_heads: 4, kv_heads: 2, key_len: 80,
           head_dim: 16, decode: {steps: {sweep: [3, 5]}}}
pipelines:
  streaming: [{sink: 4}, {local: 8}]
  quest: [{sink: 4}, {quest: {budget: 16, page_size: 4, min_pages: 1}}]
measure: {target: 20%, budget: 5ms}
)");
  const ProgramResult finished = run("run trace.yaml --out out --json cells.jsonl");
  EXPECT_EQ(finished.exit_code, 0) << finished.out << finished.err;
  EXPECT_NE(finished.out.find("keys 80 and 5 decode steps"), std::string::npos) << finished.out;
  EXPECT_EQ(query("SELECT count(*) FROM steps JOIN cells USING (key) WHERE decode_steps = 3"),
            std::vector<std::string>{"9"});
  EXPECT_EQ(query("SELECT steps.key_len FROM steps JOIN cells USING (key) WHERE decode_steps = 3 "
                  "AND pipeline = 'quest' ORDER BY step"),
            (std::vector<std::string>{"81", "82", "83"}));
  // The shorter trace is the beginning of the longer one.
  EXPECT_EQ(query("SELECT count(*) FROM steps a JOIN cells c ON a.key = c.key JOIN steps b ON "
                  "a.step = b.step JOIN cells d ON b.key = d.key WHERE c.decode_steps = 3 AND "
                  "d.decode_steps = 5 AND c.pipeline = d.pipeline AND a.density = b.density AND "
                  "a.rel_l2_error = b.rel_l2_error AND a.index_bytes = b.index_bytes"),
            std::vector<std::string>{"9"});
  for (const nlohmann::json& cell : json_lines("cells.jsonl")) {
    EXPECT_EQ(cell.at("key_len"), 80);
    EXPECT_EQ(cell.at("query_len"), 1);
    if (cell.at("pipeline") == "dense") continue;
    const double steps = cell.at("decode_steps");
    EXPECT_GE(cell.at("total_ms_min").get<double>(),
              cell.at("prepare_ms_min").get<double>() / steps +
                  cell.at("append_ms_min").get<double>() + cell.at("select_ms_min").get<double>());
  }
  const ProgramResult again = run("run trace.yaml --out out --resume");
  EXPECT_NE(again.out.find("; 6 kept from an earlier run"), std::string::npos) << again.out;
  EXPECT_EQ(query("SELECT count(*) FROM steps"), std::vector<std::string>{"24"});
  EXPECT_NE(
      run("run trace.yaml --dry-run")
          .out.find("workload steps=3: (1, 4, 2, 1, 80, 16) and 3 decode steps, float32, causal"),
      std::string::npos);
}

TEST_F(Output, ResumeRunsNothingTwiceAndExportsAll) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out --json first.jsonl").exit_code, 0);
  const ProgramResult finished = run("run tiny.yaml --out out --resume --json second.jsonl");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(read("second.jsonl"), read("first.jsonl"));
  EXPECT_NE(finished.out.find("topk budget=100%"), std::string::npos) << finished.out;
  EXPECT_NE(finished.out.find("; 4 kept from an earlier run"), std::string::npos) << finished.out;
  EXPECT_NE(finished.err.find("[4/4] workload: topk budget=100%: "), std::string::npos)
      << finished.err;
  EXPECT_NE(finished.err.find(", kept from an earlier run"), std::string::npos);
}

TEST_F(Output, ResumeRunsWhatIsNewAndGivesTheRestItsNumbers) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out").exit_code, 0);
  write("tiny.yaml", std::string(kTiny).replace(std::string(kTiny).find("  topk"), 0,
                                                "  recent: [{local: 8}]\n"));
  const ProgramResult finished = run("run tiny.yaml --out out --resume");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_NE(finished.out.find("; 4 kept"), std::string::npos) << finished.out;
  EXPECT_EQ(query("SELECT pipeline FROM cells ORDER BY cell"),
            (std::vector<std::string>{"dense", "streaming", "recent", "topk budget=5%",
                                      "topk budget=100%"}));
}

TEST_F(Output, ResumeKeepsFailedCells) {
  write("tiny.yaml", kTiny);
  const std::string arguments = "run tiny.yaml --out out --set workload.scale=1e8";
  EXPECT_EQ(run(arguments).exit_code, 1);
  const ProgramResult finished = run(arguments + " --resume");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_NE(finished.out.find("; 4 kept"), std::string::npos) << finished.out;
  EXPECT_NE(finished.out.find("no row can be judged"), std::string::npos);
}

TEST_F(Output, ResumeTriesAgainWhatWasUnavailable) {
  write("tiny.yaml", kTiny);
  const std::string no_device = "CUDA_VISIBLE_DEVICES=";
  EXPECT_EQ(run("run tiny.yaml --out out --set 'devices=[cuda]'", no_device).exit_code, 0);
  const ProgramResult finished =
      run("run tiny.yaml --out out --resume --set 'devices=[cuda]'", no_device);
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(finished.out.find("kept"), std::string::npos) << finished.out;
  EXPECT_EQ(query("SELECT count(*) FROM cells WHERE status = 'unavailable'"),
            std::vector<std::string>{"4"});
}

TEST_F(Output, ResumeTriesAgainWhatHadNoData) {
  write("late.yaml",
        "name: late\nworkload: {source: {kind: safetensors, file: late.safetensors}}\n"
        "pipelines: {p: [{sink: 1}]}\nmeasure: {target: 50%, budget: 10ms}\n");
  const std::string whole = small_tensors();
  write("late.safetensors", whole.substr(0, whole.size() - 1));
  EXPECT_EQ(run("run late.yaml --out out").exit_code, 2);
  EXPECT_EQ(query("SELECT status FROM cells"), (std::vector<std::string>{"failed", "failed"}));
  write("late.safetensors", whole);
  const ProgramResult finished = run("run late.yaml --out out --resume");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(query("SELECT status FROM cells"), (std::vector<std::string>{"ok", "ok"}));
}

TEST_F(Output, ResumeTriesAgainWhatAnOverrideDidNotFit) {
  write("few.safetensors", small_tensors());
  write("heads.yaml",
        "name: heads\nworkload: {source: {kind: safetensors, file: few.safetensors}}\n"
        "pipelines: {p: [{sink: 1}]}\nmeasure: {target: 50%, budget: 10ms}\n");
  const std::string wrong = " --set 'overrides=[{heads: [9], use: dense}]'";
  const ProgramResult unfit = run("run heads.yaml --out out" + wrong);
  EXPECT_EQ(unfit.exit_code, 2) << unfit.out;
  EXPECT_NE(unfit.err.find("head 9"), std::string::npos) << unfit.err;
  EXPECT_EQ(run("run heads.yaml --dry-run" + wrong).exit_code, 2);
  const ProgramResult finished = run("run heads.yaml --out out --resume");
  EXPECT_EQ(finished.exit_code, 0) << finished.out << finished.err;
  EXPECT_NE(finished.out.find("; 1 kept"), std::string::npos) << finished.out;
  EXPECT_EQ(query("SELECT status FROM cells WHERE cell IS NOT NULL ORDER BY cell"),
            (std::vector<std::string>{"ok", "ok"}));
}

TEST_F(Output, RefusesToMixWithAnEarlierRun) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out --json cells.jsonl").exit_code, 0);
  const std::string cells = read("cells.jsonl");
  expect_refused("run tiny.yaml --out out --json cells.jsonl",
                 "out/results.sqlite: holds 4 cells of an earlier run; add --resume to keep them "
                 "and run what is missing, or name another folder with --out");
  EXPECT_EQ(read("cells.jsonl"), cells);
}

TEST_F(Output, RefusesWhatItCannotWriteTo) {
  write("tiny.yaml", kTiny);
  write("file", "in the way\n");
  expect_refused("run tiny.yaml --out file",
                 "file: cannot be used as the output folder (Not a directory); name another one "
                 "with --out");
  expect_refused(
      "run tiny.yaml --out /proc/self",
      "/proc/self/results.sqlite: cannot be opened for writing; name another folder with "
      "--out, one that can be written");
  expect_refused("run tiny.yaml --resume", "--resume: name the folder of the results with --out");
  expect_refused("run tiny.yaml --json x --csv x",
                 "x: is named by both --json and --csv; name two files");
  std::filesystem::create_directories(folder_ / "out");
  write("out/results.sqlite", "name: tiny\n");
  expect_refused(
      "run tiny.yaml --out out --resume",
      "out/results.sqlite: is not a results database; name another folder with --out, or "
      "move the file away");
  EXPECT_EQ(read("out/results.sqlite"), "name: tiny\n");
  std::filesystem::remove(database());
  ASSERT_EQ(run("run tiny.yaml --out out").exit_code, 0);
  query("PRAGMA user_version = 1");
  expect_refused("run tiny.yaml --out out --resume",
                 "out/results.sqlite: holds results in format 1; this version of the program reads "
                 "and writes format 6; name another folder with --out, or move the file away");
}

// An experiment of 60 cells that take about 12 ms each.
constexpr std::size_t kSixty = 60;
constexpr const char* kSixtyCells = R"(name: sixty
workload: {source: {kind: gaussian, seed: 1}, query_heads: 2, kv_heads: 1, query_len: 64,
           key_len: 64, head_dim: 8}
pipelines:
  p: [{sink: {sweep: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]}},
      {local: {sweep: [1, 2, 3]}}]
measure: {target: 0.0001%, budget: 12ms}
)";

TEST_F(Output, HoldsEveryCellOnceHoweverOftenTheRunWasKilled) {
  write("sixty.yaml", kSixtyCells);
  const auto cells_stored = [&]() -> std::size_t {
    if (!std::filesystem::exists(database()) ||
        query("SELECT name FROM sqlite_master WHERE name = 'cells'").empty()) {
      return 0;
    }
    return query("SELECT key FROM cells").size();
  };
  const RandomField random({.seed = 20});
  std::size_t cells = 0;
  for (std::uint32_t round = 0; round < 10; ++round) {
    // At first at any moment from the start on, later from when the run has added a cell on,
    // however long that takes.
    const bool adds = round >= 4;
    const auto moment_us = static_cast<useconds_t>(1'000 + 200'000 * random.uniform(0, round));
    SCOPED_TRACE("killed " + std::to_string(moment_us) + " us after " +
                 (adds ? "a new cell" : "the start"));
    const pid_t child = start({"run", "sixty.yaml", "--out", "out", "--resume", "--no-peaks"});
    if (adds) await(child, [&] { return cells_stored() > cells; });
    usleep(moment_us);
    kill(child, SIGKILL);
    wait_for(child);
    // Whole cells only, and none that was there is lost.
    const std::size_t now = cells_stored();
    EXPECT_GE(now, cells);
    cells = now;
    if (cells == 0) continue;
    EXPECT_EQ(query("SELECT key FROM heads GROUP BY key HAVING count(*) = 2").size(), cells);
  }
  EXPECT_GT(cells, 0U);
  const ProgramResult finished = run("run sixty.yaml --out out --resume");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_NE(without_noise(finished.out).find("61 cells: 61 ok, 0 failed"), std::string::npos)
      << finished.out;
  std::vector<std::string> numbers;
  for (std::size_t i = 0; i <= kSixty; ++i) numbers.push_back(std::to_string(i));
  EXPECT_EQ(query("SELECT cell FROM cells ORDER BY cell"), numbers);
  EXPECT_EQ(query("SELECT DISTINCT pipeline FROM cells").size(), kSixty + 1);
  EXPECT_EQ(query("PRAGMA integrity_check"), std::vector<std::string>{"ok"});
}

TEST_F(Output, TakesTheNumbersOfCellsOfOtherVersions) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out").exit_code, 0);
  const ProgramResult finished = run(
      "run tiny.yaml --out out --resume --set workload.source.seed=77 --set workload.scale=0.5");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_NE(finished.err.find("note: 4 older cells do not match this run (data"), std::string::npos)
      << finished.err;
  EXPECT_EQ(query("SELECT count(*) FROM cells WHERE cell IS NULL"), std::vector<std::string>{"4"});
  EXPECT_EQ(query("SELECT DISTINCT scale FROM cells WHERE cell IS NOT NULL"),
            std::vector<std::string>{"0.5"});
  // Cells that a later run asks for again get their numbers back.
  const ProgramResult back = run("run tiny.yaml --out out --resume");
  EXPECT_NE(back.out.find("; 4 kept from an earlier run\n"), std::string::npos) << back.out;
  EXPECT_NE(back.err.find("note: 4 older cells do not match this run (data"), std::string::npos)
      << back.err;
  EXPECT_EQ(query("SELECT count(*) FROM cells WHERE cell IS NOT NULL AND seed <> 77"),
            std::vector<std::string>{"4"});
}

TEST_F(Output, ExportsReplaceNothingThatTheRunNeeds) {
  write("tiny.yaml", kTiny);
  const std::string read_by_run = ": is read by this run and would be replaced; name another file ";
  expect_refused("run tiny.yaml --json tiny.yaml", "tiny.yaml" + read_by_run + "with --json");
  expect_refused("run tiny.yaml --csv ./tiny.yaml", "./tiny.yaml" + read_by_run + "with --csv");
  EXPECT_EQ(read("tiny.yaml"), kTiny);
  expect_refused("run tiny.yaml --json x --csv ./x",
                 "./x: is named by both --json and --csv; name two files");
  ASSERT_EQ(run("run tiny.yaml --out out").exit_code, 0);
  expect_refused("run tiny.yaml --out out --resume --json out/../out/results.sqlite",
                 "out/../out/results.sqlite: belongs to the results of --out; name another file "
                 "with --json");
  EXPECT_EQ(query("SELECT count(*) FROM cells"), std::vector<std::string>{"4"});
  write("keep.jsonl", "earlier\n");
  EXPECT_EQ(run("run tiny.yaml --json keep.jsonl --csv missing/x.csv").exit_code, 2);
  EXPECT_EQ(read("keep.jsonl"), "earlier\n");
}

TEST_F(Output, RefusesEmptyPaths) {
  write("tiny.yaml", kTiny);
  for (const std::string option : {"--out", "--json", "--csv"}) {
    const ProgramResult finished = run("run tiny.yaml " + option + " ''");
    EXPECT_EQ(finished.exit_code, 2) << option;
    EXPECT_NE(finished.err.find(option + ": the path is empty; name a file or folder"),
              std::string::npos)
        << finished.err;
  }
}

TEST_F(Output, SaysWhenTheTableCannotBeWritten) {
  write("tiny.yaml", kTiny);
  const ProgramResult finished = run("run tiny.yaml", "", "/dev/full");
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_NE(finished.err.find("is the disk or the pipe full?"), std::string::npos) << finished.err;
}

}  // namespace
}  // namespace maskerade
