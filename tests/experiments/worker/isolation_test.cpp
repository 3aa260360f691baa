#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::json;

// Runs the program with a masker that ends the process that calls it.
class Isolation : public Program {
 protected:
  Isolation() { write("deadly.yaml", kDeadly); }

  ProgramResult run_deadly(const std::string& arguments,
                           const std::string& environment = "") const {
    return run("run deadly.yaml --plugin " MASKERADE_DEADLY " " + arguments, environment);
  }
  std::vector<std::string> query(const std::string& sql) const {
    sqlite3* opened = nullptr;
    std::vector<std::string> rows;
    const std::string file = (folder_ / "out" / "results.sqlite").string();
    EXPECT_EQ(sqlite3_open_v2(file.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
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
  // The reason of the failed cell in which the masker does this.
  std::string reason(const std::string& how) const {
    return cell_of("cells.jsonl", "deadly how=" + how).at("reason");
  }

  static constexpr const char* kDeadly = R"(name: deadly
workload: {source: {kind: gaussian, seed: 1}, query_heads: 2, query_len: 8, key_len: 16,
           head_dim: 4}
pipelines:
  before: [{sink: 2}]
  deadly: [{sink: 1}, {deadly: {how: {sweep: [crash, nothing, abort, exit, exit_at_once, hang,
                                              allocate]}}}]
  after: [{local: 3}]
measure: {target: 50%, budget: 5ms, cell_timeout: 2s, cell_memory: 300MB}
)";
};

TEST_F(Isolation, CostsTheCellAloneThatEndsItsProcess) {
  const ProgramResult finished = run_deadly("--out out --json cells.jsonl");
  EXPECT_EQ(finished.exit_code, 1) << finished.out << finished.err;
  ASSERT_EQ(json_lines("cells.jsonl").size(), 10U);
  const std::string in = ", in masker \"deadly\" (" MASKERADE_DEADLY ")";
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(reason("crash"), "its worker was ended by SIGSEGV" + in);
#endif
  EXPECT_EQ(reason("abort"), "its worker was ended by SIGABRT" + in);
  EXPECT_EQ(reason("exit_at_once"), "its worker exited with status 0" + in);
  EXPECT_EQ(reason("hang"), "its worker ran longer than measure.cell_timeout, 2 s" + in);
  EXPECT_EQ(reason("allocate"), "its worker took more than measure.cell_memory, 0.3 GB" + in);
  EXPECT_EQ(reason("exit"), "its worker exited with status 0" + in);
  for (const Json& cell : json_lines("cells.jsonl")) {
    const std::string pipeline = cell.at("pipeline");
    const bool is_deadly = pipeline.starts_with("deadly");
    EXPECT_EQ(cell.at("isolated"), is_deadly) << pipeline << ": of a masker that is not built in";
    const bool ends = is_deadly && pipeline != "deadly how=nothing";
    EXPECT_EQ(cell.at("status"), ends ? "failed" : "ok") << pipeline << ": " << cell.at("reason");
  }
  EXPECT_EQ(query("SELECT count(*) FROM started"), std::vector<std::string>{"0"});

  // Mended, they are run again, and no others.
  const ProgramResult mended =
      run_deadly("--out out --retry-failed --json mended.jsonl", "DEADLY_IS_MENDED=1");
  EXPECT_EQ(mended.exit_code, 0) << mended.out << mended.err;
  EXPECT_EQ(query("SELECT count(*) FROM cells WHERE status = 'ok'"),
            std::vector<std::string>{"10"});
  EXPECT_EQ(query("SELECT count(*) FROM cells WHERE run = 2"), std::vector<std::string>{"6"});
}

TEST_F(Isolation, GivesTheSameResultsAsThisProcess) {
  const std::string experiment = R"(name: same
workload: {source: {kind: structured, seed: 3}, query_heads: 4, kv_heads: 2, query_len: 16,
           key_len: 96, head_dim: 16, dtype: bfloat16, causal: true}
seeds: {mask: [1, 2]}
pipelines:
  topk: [{sink: 2}, {oracle_topk: {budget: {sweep: [5%, 20%]}}}]
  quest: [{quest: {budget: 16, page_size: 4, min_pages: 1}}]
  sampled: [{sink: 2}, {random_sampling: 10%}]
overrides: [{heads: [3], use: dense}]
measure: {target: 50%, budget: 5ms}
)";
  write("same.yaml", experiment);
  EXPECT_EQ(run("run same.yaml --set isolate=true --json apart.jsonl").exit_code, 0);
  EXPECT_EQ(run("run same.yaml --set isolate=false --json here.jsonl").exit_code, 0);
  const std::vector<Json> apart = json_lines("apart.jsonl");
  const std::vector<Json> here = json_lines("here.jsonl");
  ASSERT_EQ(apart.size(), here.size());
  const std::set<std::string> differ = {"isolated",
                                        "peak_bytes",
                                        "select_ms_by_masker",
                                        "speedup",
                                        "repetitions",
                                        "break_even_density",
                                        "timing",
                                        "load_average",
                                        "other_load",
                                        "total_relative_half_width",
                                        "attend_flops_per_second",
                                        "attend_bytes_per_second"};
  for (std::size_t i = 0; i < here.size(); ++i) {
    for (const auto& [name, value] : here[i].items()) {
      const bool is_time = name.find("_ms") != std::string::npos || differ.contains(name);
      if (is_time) continue;
      EXPECT_EQ(apart[i].at(name), value) << name << " of " << here[i].at("pipeline");
    }
    EXPECT_EQ(apart[i].at("isolated"), true);
    EXPECT_EQ(here[i].at("isolated"), false);
  }
}

TEST_F(Isolation, LeavesNoProcessAndNoBegunCellBehindWhenTheRunIsStopped) {
  for (const int stop : {SIGINT, SIGTERM, SIGHUP}) {
    SCOPED_TRACE(strsignal(stop));
    std::filesystem::remove_all(folder_ / "out");
    const pid_t child =
        start({"run", "deadly.yaml", "--plugin", MASKERADE_DEADLY, "--out", "out", "--no-peaks",
               "--set", "pipelines.deadly=[{deadly: hang}]", "--set", "measure.cell_timeout=600s"});
    const auto is_begun = [&] {
      return std::filesystem::exists(folder_ / "out" / "results.sqlite") &&
             !query("SELECT name FROM sqlite_master WHERE name = 'started'").empty() &&
             !query("SELECT key FROM started WHERE pipeline = 'deadly'").empty();
    };
    await(child, is_begun);
    kill(child, stop);
    EXPECT_EQ(wait_for(child), 130);
    EXPECT_EQ(query("SELECT count(*) FROM started"), std::vector<std::string>{"0"});
    EXPECT_EQ(query("SELECT count(*) FROM cells"), std::vector<std::string>{"2"});
    EXPECT_EQ(query("PRAGMA integrity_check"), std::vector<std::string>{"ok"});
  }
}

TEST_F(Isolation, RunsApartWhatHasEndedAnEarlierRun) {
  // Not isolated, the program ends with the masker.
  const ProgramResult ended = run_deadly(
      "--out out --set isolate=false --set 'measure={target: 50%, budget: 5ms}' --set "
      "'pipelines.deadly=[{deadly: exit_at_once}]'");
  EXPECT_EQ(ended.exit_code, 0) << "the status that the masker gave";
  EXPECT_EQ(query("SELECT pipeline FROM started"), std::vector<std::string>{"deadly"});
  const ProgramResult resumed = run_deadly(
      "--out out --resume --set isolate=false --set 'measure={target: 50%, budget: "
      "5ms}' --set 'pipelines.deadly=[{deadly: exit_at_once}]' --json cells.jsonl");
  EXPECT_EQ(resumed.exit_code, 1) << resumed.out << resumed.err;
  EXPECT_EQ(cell_of("cells.jsonl", "deadly").at("reason"),
            "its worker exited with status 0, in masker \"deadly\" (" MASKERADE_DEADLY ")");
  EXPECT_EQ(cell_of("cells.jsonl", "after").at("status"), "ok");
  EXPECT_EQ(query("SELECT count(*) FROM started"), std::vector<std::string>{"0"});
}

TEST_F(Isolation, NamesALibraryThatEndsTheProcessWhichLoadsIt) {
  for (const auto& [how, ending] :
       {std::pair("crash", "was ended by SIGABRT"), std::pair("exit", "exited with status 0")}) {
    const ProgramResult refused =
        run("run deadly.yaml --plugin " MASKERADE_DEADLY, std::string("DEADLY_AT_LOADING=") + how);
    EXPECT_EQ(refused.exit_code, 2) << refused.out;
    EXPECT_EQ(refused.err.find("maskerade: error: library " MASKERADE_DEADLY
                               ": a process that loaded it " +
                               std::string(ending) + "; a library must do nothing"),
              0U)
        << refused.err;
  }
}

TEST_F(Isolation, FailsACellThatBindsAThreadToAProcessor) {
  const ProgramResult finished = run_deadly(
      "--set isolate=false --set 'measure={target: 50%, budget: 5ms}' --set "
      "'pipelines.deadly=[{deadly: move}]' --json cells.jsonl");
  const Json cell = cell_of("cells.jsonl", "deadly");
  if (cell.at("status") == "ok") GTEST_SKIP() << "there is one processor only";
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_NE(cell.at("reason").get<std::string>().find("bound threads of the program"),
            std::string::npos)
      << cell.at("reason");
  EXPECT_EQ(cell_of("cells.jsonl", "after").at("status"), "ok");
}

TEST_F(Isolation, LoadsDataAgainThatAMaskerWroteTo) {
  const ProgramResult finished = run_deadly(
      "--set isolate=false --set 'measure={target: 50%, budget: 5ms}' --set "
      "'pipelines.deadly=[{deadly: write}]' --json cells.jsonl");
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_NE(cell_of("cells.jsonl", "deadly")
                .at("reason")
                .get<std::string>()
                .find("something wrote to q, k or v"),
            std::string::npos);
  EXPECT_EQ(cell_of("cells.jsonl", "after").at("status"), "ok");
}

}  // namespace
}  // namespace maskerade
