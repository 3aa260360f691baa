#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

class Results : public Program {
 protected:
  // Runs the tiny experiment into the folder out.
  void run_tiny(const std::string& arguments = "") const {
    write("tiny.yaml", kTiny);
    const ProgramResult finished = run("run tiny.yaml --out out " + arguments);
    EXPECT_NE(finished.out.find("results in out/results.sqlite"), std::string::npos)
        << finished.out << finished.err;
  }
  void expect_refused(const std::string& arguments, const std::string& text) const {
    const ProgramResult finished = run(arguments);
    EXPECT_EQ(finished.exit_code, 2) << arguments;
    EXPECT_EQ(finished.err, "maskerade: error: " + text + "\n");
  }
  std::vector<std::string> pipelines_in(const std::string& json_file) const {
    std::vector<std::string> pipelines;
    for (const nlohmann::json& cell : json_lines(json_file)) {
      pipelines.push_back(cell.at("pipeline"));
    }
    return pipelines;
  }
};

// The end of the last line where every cell is ok.
const std::string kNothingElse =
    ", 0 failed, 0 not matched, 0 unreachable, 0 unavailable, 0 not run\n";

// What precedes the last line that says how long a run took and where its results are.
std::string tables_of(const std::string& out) { return out.substr(0, out.find(" not run")); }

TEST_F(Results, PrintTheTableAndWriteTheExportsOfTheRun) {
  write("two.yaml",
        std::string(kTiny).replace(std::string(kTiny).find("workload: "), 10, "workloads:\n  a: ") +
            "check: {oracle_rows: {sweep: [8, 16]}}\n");
  const ProgramResult ran = run("run two.yaml --out out --json run.jsonl --csv run.csv");
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  const ProgramResult shown = run("results out --json shown.jsonl --csv shown.csv");
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_EQ(tables_of(shown.out), tables_of(ran.out));
  EXPECT_TRUE(without_noise(shown.out).ends_with("\n8 cells: 8 ok" + kNothingElse)) << shown.out;
  EXPECT_EQ(shown.err, "");
  EXPECT_EQ(read("shown.jsonl"), read("run.jsonl"));
  EXPECT_EQ(read("shown.csv"), read("run.csv"));
  EXPECT_EQ(run("results out/results.sqlite").out, shown.out);
}

TEST_F(Results, OfFailedCellsAreReadAllTheSame) {
  run_tiny("--set workload.scale=1e8");
  const ProgramResult shown = run("results out");
  EXPECT_EQ(shown.exit_code, 0) << "reading has not failed";
  EXPECT_NE(shown.out.find("no row can be judged"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("\n4 cells: 0 ok, 4 failed, 0 not matched"), std::string::npos)
      << shown.out;
  EXPECT_NE(shown.out.find("\n4 failed, by cause:\n  4 (cells 0-3): no row can be judged"),
            std::string::npos)
      << shown.out;
}

TEST_F(Results, AreThoseOfWhichEveryConditionHolds) {
  run_tiny();
  const ProgramResult shown =
      run("results out --where 'pipeline=topk budget=5%' --where status=ok --json some.jsonl");
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_EQ(pipelines_in("some.jsonl"), std::vector<std::string>{"topk budget=5%"});
  EXPECT_TRUE(without_noise(shown.out).ends_with("\n1 cell: 1 ok" + kNothingElse)) << shown.out;
  EXPECT_EQ(run("results out --where status=failed").out, "0 cells: 0 ok" + kNothingElse);
  expect_refused("results out --where stauts=ok",
                 "results have no column \"stauts\"; did you mean \"status\"?");
  expect_refused("results out --where failed",
                 "--where failed: give column=value, for example --where status=failed");
}

TEST_F(Results, OfOtherVersionsAreShownWhenAskedFor) {
  run_tiny();
  run_tiny("--resume --set workload.source.seed=77");
  const ProgramResult shown = run("results out --json latest.jsonl");
  EXPECT_TRUE(shown.out.ends_with(
      "\n4 more of other versions of the experiment have no cell number; --all shows them\n"))
      << shown.out;
  for (const nlohmann::json& cell : json_lines("latest.jsonl")) EXPECT_EQ(cell.at("seed"), 77);
  EXPECT_EQ(run("results out --all --json all.jsonl").exit_code, 0);
  std::vector<nlohmann::json> others;
  for (const nlohmann::json& cell : json_lines("all.jsonl")) {
    if (cell.at("seed") == 1) others.push_back(cell.at("cell"));
  }
  EXPECT_EQ(others, std::vector<nlohmann::json>(4)) << "without a number";
}

TEST_F(Results, AreReadWhileTheRunWrites) {
  write("long.yaml", R"(name: long
workload: {source: {kind: gaussian, seed: 1}, query_heads: 1, kv_heads: 1, query_len: 64,
           key_len: 64, head_dim: 8}
pipelines: {p: [{sink: {sweep: [1, 2, 3, 4, 5, 6, 7, 8]}}]}
measure: {target: 0.0001%, budget: 1s}
)");
  const pid_t child =
      start({"run", "long.yaml", "--out", "out", "--json", "run.jsonl", "--no-peaks"});
  await_line(child, "run.jsonl");
  const ProgramResult shown = run("results out --json shown.jsonl", "", "shown.txt");
  EXPECT_EQ(shown.exit_code, 0) << read("shown.txt");
  const std::vector<std::string> pipelines = pipelines_in("shown.jsonl");
  ASSERT_FALSE(pipelines.empty());
  EXPECT_EQ(pipelines.front(), "dense");
  EXPECT_LT(pipelines.size(), 9U);
  EXPECT_NE(read("shown.txt").find("break-even"), std::string::npos) << read("shown.txt");
  kill(child, SIGKILL);
  wait_for(child);
  EXPECT_EQ(run("results out").exit_code, 0) << "after the run was killed";
}

TEST_F(Results, RefuseWhatCannotBeReadOrWritten) {
  run_tiny();
  expect_refused("results",
                 "results: name the folder that a run was given with --out, or its results.sqlite");
  expect_refused("results nowhere",
                 "nowhere: is not there; name the folder that a run was given with --out, or its "
                 "results.sqlite");
  expect_refused("results tiny.yaml",
                 "tiny.yaml: is not a results database; name the folder that a run was given with "
                 "--out, or its results.sqlite");
  expect_refused("results out --csv out/results.sqlite",
                 "out/results.sqlite: is read by this command and would be replaced; name another "
                 "file with --csv");
  expect_refused("results out --json out/results.sqlite-wal",
                 "out/results.sqlite-wal: is read by this command and would be replaced; name "
                 "another file with --json");
  expect_refused("results out --json x --csv ./x",
                 "./x: is named by both --json and --csv; name two files");
  EXPECT_EQ(run("results out --csv ''").exit_code, 2);
  EXPECT_EQ(run("results out").exit_code, 0) << "and nothing was replaced";
}

TEST_F(Results, ShowTheColumnsThatAreAskedForInTheOrderAskedFor) {
  run_tiny();
  EXPECT_EQ(run("results out --columns pipeline,density,empty_rows --sort density:desc "
                "--where status=ok --format csv")
                .out.substr(0, 37),
            "pipeline,density,empty_rows\r\ndense,1,");
  const std::string out = run("results out --columns pipeline,density --sort density").out;
  EXPECT_LT(out.find("topk budget=5%"), out.find("dense")) << out;
  EXPECT_EQ(out.find("speedup"), std::string::npos) << out;
  expect_refused("results out --columns pipeline,densty",
                 "results have no column \"densty\"; did you mean \"density\"?");
  expect_refused("results out --sort density:down",
                 "--sort density:down: give COLUMN, COLUMN:asc or COLUMN:desc, for example --sort "
                 "speedup:desc");
}

TEST_F(Results, ShowMethodsWithMeansOverWorkloads) {
  run_tiny();
  const std::string out = run("results out --view methods").out;
  EXPECT_TRUE(out.starts_with("tiny: prefill, means over 1 workload\n")) << out;
  EXPECT_NE(out.find("topk budget=5%"), std::string::npos) << out;
  EXPECT_NE(run("results out --view rows").exit_code, 0);
}

TEST_F(Results, AreTablesOfMarkdownLatexAndCsv) {
  run_tiny();
  const std::string markdown = run("results out --format markdown").out;
  EXPECT_NE(markdown.find("\n| pipeline | kernel | density | recall (certain keys) |"),
            std::string::npos)
      << markdown;
  const std::string latex = run("results out --format latex").out;
  EXPECT_NE(latex.find("\ntopk budget=5\\% & "), std::string::npos) << latex;
  EXPECT_TRUE(run("results out --format csv").out.starts_with("workload,pipeline,kernel,density,"));
  for (const char* format : {"markdown", "latex", "csv"}) {
    EXPECT_EQ(run(std::string("results out --format ") + format).out.find("not run"),
              std::string::npos)
        << "a table alone";
  }
}

TEST_F(Results, DescribeTheirColumns) {
  const ProgramResult described = run("results --describe-columns");
  EXPECT_EQ(described.exit_code, 0);
  for (const char* text :
       {"### Columns of a cell\n\n| column | type | unit | meaning |\n",
        "\n| `density` | real | share | Active entries over visible entries. |\n",
        "### Columns of a head\n", "### Columns of a step\n"}) {
    EXPECT_NE(described.out.find(text), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace maskerade
