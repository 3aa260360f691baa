#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "framework/base/philox.hpp"
#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

using Texts = std::vector<std::string>;

// A connection of another program to a database.
class Connection {
 public:
  explicit Connection(const std::filesystem::path& file) {
    EXPECT_EQ(sqlite3_open(file.c_str(), &database_), SQLITE_OK) << file;
    sqlite3_busy_timeout(database_, 60'000);
  }
  ~Connection() { sqlite3_close(database_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs a statement of SQL; returns its rows, the columns of each with | between them.
  Texts query(const std::string& sql) const {
    Texts rows;
    const auto add = [](void* to, int columns, char** values, char**) {
      std::string row;
      for (int i = 0; i < columns; ++i) {
        row += (i == 0 ? "" : "|") + std::string(values[i] == nullptr ? "NULL" : values[i]);
      }
      static_cast<Texts*>(to)->push_back(row);
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(database_, sql.c_str(), add, &rows, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database_);
    return rows;
  }

 private:
  sqlite3* database_ = nullptr;
};

// Runs that share an output folder.
class Sharing : public Program {
 protected:
  std::filesystem::path database(const std::string& folder = "out") const {
    return folder_ / folder / "results.sqlite";
  }
  Texts query(const std::string& sql) const { return Connection(database()).query(sql); }
  std::int64_t count(const std::string& of) const {
    return std::stoll(query("SELECT count(*) FROM " + of).front());
  }
  // Starts the program beside others; what it prints goes to NAME.out and NAME.err.
  pid_t start_beside(const std::string& name, const std::string& arguments) const {
    const std::string command = "cd '" + folder_.string() + "' && XDG_CACHE_HOME='" +
                                folder_.string() + "/cache' exec '" + MASKERADE_TEST_PROGRAM +
                                "' " + arguments + " >" + name + ".out 2>" + name + ".err";
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    return child;
  }
  // The cells that a program measured, by what it said of its progress: "WORKLOAD: PIPELINE".
  Texts measured_by(const std::string& name) const {
    Texts cells;
    std::istringstream lines(read(name + ".err"));
    const std::regex progress("\\[[0-9]+/[0-9]+\\] (.*): (ok|noisy), .*");
    for (std::string line; std::getline(lines, line);) {
      std::smatch match;
      if (line.find("kept from an earlier run") == std::string::npos &&
          std::regex_match(line, match, progress)) {
        cells.push_back(match[1]);
      }
    }
    return cells;
  }
  // Expects that the program refuses a command line with exit code 2 and this text alone.
  void expect_refused(const std::string& arguments, const std::string& text) const {
    const ProgramResult finished = run(arguments);
    EXPECT_EQ(finished.exit_code, 2) << arguments;
    EXPECT_EQ(finished.err, "maskerade: error: " + text + "\n");
  }
};

std::int64_t occurrences(const std::string& text, const std::string& of) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(of); at != std::string::npos; at = text.find(of, at + 1)) ++count;
  return count;
}

// Has a run repeat the first cell that it comes to until it is stopped.
constexpr const char* kEndless = "--set measure.target=0.0001% --set measure.budget=3600s";

// An experiment of 40 cells and the dense reference, which take milliseconds.
constexpr std::int64_t kForty = 41;
constexpr const char* kFortyCells = R"(name: forty
workload: {source: {kind: gaussian, seed: 1}, query_heads: 2, kv_heads: 1, query_len: 32,
           key_len: 32, head_dim: 8}
pipelines:
  p: [{sink: {sweep: [1, 2, 3, 4, 5, 6, 7, 8]}}, {local: {sweep: [1, 2, 3, 4, 5]}}]
measure: {target: 0.0001%, budget: 5ms}
)";

TEST_F(Sharing, TwoRunsMeasureEveryCellOnce) {
  write("forty.yaml", kFortyCells);
  const std::string arguments = "run forty.yaml --out out --resume --no-peaks";
  const pid_t first = start_beside("first", arguments);
  const pid_t second = start_beside("second", arguments);
  EXPECT_EQ(wait_for(first), 0) << read("first.err");
  EXPECT_EQ(wait_for(second), 0) << read("second.err");
  Texts measured = measured_by("first");
  for (const std::string& cell : measured_by("second")) measured.push_back(cell);
  EXPECT_EQ(std::set<std::string>(measured.begin(), measured.end()).size(), measured.size());
  EXPECT_EQ(static_cast<std::int64_t>(measured.size()), kForty);
  EXPECT_EQ(query("SELECT count(*), count(DISTINCT pipeline), min(cell), max(cell), "
                  "count(DISTINCT cell) FROM cells WHERE status = 'ok'"),
            Texts{"41|41|0|40|41"});
  EXPECT_EQ(count("started"), 0);
  EXPECT_EQ(count("runs"), 2);
  const ProgramResult again = run("run forty.yaml --out out --resume");
  EXPECT_NE(again.out.find("; 41 kept from an earlier run"), std::string::npos) << again.out;
}

TEST_F(Sharing, ARunSaysHowManyCellsItLeftToOthers) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out --cell 1").exit_code, 0);
  // A run that is stopped in a cell that would take long stays alive and has that cell.
  const std::string arguments =
      "run tiny.yaml --out out --resume --cell 0 " + std::string(kEndless);
  const pid_t stopped = start_beside("stopped", arguments + " --no-peaks");
  await(stopped, [&] { return count("started") == 1; });
  kill(stopped, SIGSTOP);
  const ProgramResult beside = run(arguments);
  EXPECT_EQ(beside.exit_code, 0) << beside.err;
  EXPECT_NE(beside.err.find("note: 1 cell was left to other processes, which is at them\n"),
            std::string::npos)
      << beside.err;
  EXPECT_TRUE(beside.out.starts_with("1 cell: 0 ok, ")) << beside.out;
  EXPECT_NE(beside.out.find(", 1 not run in "), std::string::npos) << beside.out;
  kill(stopped, SIGKILL);
  EXPECT_EQ(wait_for(stopped), -1);
}

// Whether a column of cells depends on the time, the load or the run that a cell was measured in.
bool depends_on_the_run(const std::string& column) {
  static const std::set<std::string> kColumns = {"attend_flops_per_second",
                                                 "attend_bytes_per_second",
                                                 "percent_of_attainable",
                                                 "percent_of_peak_flops",
                                                 "percent_of_bandwidth",
                                                 "percent_of_l2_roof",
                                                 "speedup",
                                                 "break_even_density",
                                                 "repetitions",
                                                 "total_relative_half_width",
                                                 "timing",
                                                 "load_average",
                                                 "other_load",
                                                 "peak_bytes",
                                                 "isolated",
                                                 "run"};
  const bool is_time = column.find("_ms") != std::string::npos && column != "measure_budget_ms";
  return is_time || kColumns.contains(column);
}

// Everything in a database that two runs of an experiment must agree on, a row a line.
Texts lasting_contents(const std::filesystem::path& file) {
  const Connection database(file);
  std::string columns;
  for (const std::string& column : database.query("SELECT name FROM pragma_table_info('cells')")) {
    if (depends_on_the_run(column)) continue;
    columns += (columns.empty() ? "quote(" : ", quote(") + column + ")";
  }
  Texts rows = database.query("SELECT " + columns + " FROM cells ORDER BY key");
  for (const std::string& row : database.query("SELECT * FROM heads ORDER BY key, head")) {
    rows.push_back(row);
  }
  return rows;
}

// An experiment of 100 cells and the dense reference that take about 15 ms each.
constexpr const char* kHundredCells = R"(name: hundred
workload: {source: {kind: gaussian, seed: 1}, query_heads: 2, kv_heads: 1, query_len: 32,
           key_len: 32, head_dim: 8}
pipelines:
  p: [{sink: {sweep: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}},
      {random_sampling: {rate: {sweep: [1%, 2%, 3%, 4%, 5%, 6%, 7%, 8%, 9%, 10%]}}}]
measure: {target: 0.0001%, budget: 15ms}
)";

TEST_F(Sharing, HoldsWhatAnUndisturbedRunDoesHoweverOftenTwoRunsWereKilled) {
  write("hundred.yaml", kHundredCells);
  ASSERT_EQ(run("run hundred.yaml --out undisturbed").exit_code, 0);
  const auto start = [&](std::size_t which) {
    return start_beside("run" + std::to_string(which),
                        "run hundred.yaml --out out --resume --no-peaks");
  };
  const auto has_tables = [&] {
    return std::filesystem::exists(database()) && count("sqlite_master") > 0;
  };
  const auto cells_stored = [&] { return has_tables() ? count("cells") : 0; };
  const auto runs_begun = [&] { return has_tables() ? count("runs") : 0; };
  const RandomField random({.seed = 15});
  std::array<pid_t, 2> children = {start(0), start(1)};
  std::int64_t cells = 0;
  for (std::uint32_t round = 0; round < 20; ++round) {
    const std::size_t which = random.uniform(0, round) < 0.5 ? 0 : 1;
    const auto moment_us = static_cast<useconds_t>(100'000 * random.uniform(1, round));
    SCOPED_TRACE("round " + std::to_string(round) + ": killed run " + std::to_string(which) +
                 " after " + std::to_string(moment_us) + " us");
    usleep(moment_us);
    kill(children.at(which), SIGKILL);
    wait_for(children.at(which));
    // Whole cells only, and none that was there is lost.
    const std::int64_t now = cells_stored();
    EXPECT_GE(now, cells);
    cells = now;
    const std::int64_t begun = runs_begun();
    children.at(which) = start(which);
    // In most rounds the run comes to cells before it is killed, however long that takes.
    if (round % 3 != 0) await(children.at(which), [&] { return runs_begun() > begun; });
  }
  for (const pid_t child : children) {
    kill(child, SIGKILL);
    wait_for(child);
  }
  const ProgramResult finished = run("run hundred.yaml --out out --resume");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_NE(without_noise(finished.out).find("101 cells: 101 ok, 0 failed"), std::string::npos)
      << finished.out;
  EXPECT_EQ(query("SELECT count(*), count(DISTINCT cell), min(cell), max(cell) FROM cells"),
            Texts{"101|101|0|100"});
  EXPECT_EQ(count("started"), 0);
  EXPECT_EQ(lasting_contents(database()), lasting_contents(database("undisturbed")));
  EXPECT_EQ(query("PRAGMA integrity_check"), Texts{"ok"});
  EXPECT_EQ(query("PRAGMA foreign_key_check"), Texts());
}

TEST_F(Sharing, ShardsMakeOneFolderOfResults) {
  write("forty.yaml", kFortyCells);
  std::vector<pid_t> children;
  for (const std::string shard : {"1", "2", "3"}) {
    children.push_back(start_beside("shard" + shard,
                                    "run forty.yaml --out out --no-peaks --shard " + shard + "/3"));
  }
  for (const pid_t child : children) EXPECT_EQ(wait_for(child), 0);
  EXPECT_FALSE(std::filesystem::exists(database()));
  std::int64_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "out")) {
    files += entry.path().extension() == ".sqlite" ? 1 : 0;
  }
  EXPECT_EQ(files, 3);
  const ProgramResult shown = run("results out --json all.jsonl");
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_NE(without_noise(shown.out).find("41 cells: 41 ok"), std::string::npos) << shown.out;
  std::int64_t number = 0;
  std::set<std::string> pipelines;
  for (const nlohmann::json& cell : json_lines("all.jsonl")) {
    EXPECT_EQ(cell.at("cell"), number++);
    pipelines.insert(cell.at("pipeline"));
  }
  EXPECT_EQ(number, kForty);
  EXPECT_EQ(static_cast<std::int64_t>(pipelines.size()), kForty);
  // Each part is resumed by itself.
  const ProgramResult again = run("run forty.yaml --out out --resume --shard 2/3");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.out.find("results in out/results.2.sqlite; 14 kept"), std::string::npos)
      << again.out;
  expect_refused("run forty.yaml --out out --shard 3/3",
                 "out/results.3.sqlite: holds 13 cells of an earlier run; add --resume to keep "
                 "them and run what is missing, or name another folder with --out");
}

TEST_F(Sharing, NoExportReplacesTheResultsOfAShard) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out --shard 1/2").exit_code, 0);
  ASSERT_EQ(run("run tiny.yaml --out out --shard 2/2").exit_code, 0);
  expect_refused("run tiny.yaml --out out --resume --shard 1/2 --json out/results.2.sqlite",
                 "out/results.2.sqlite: belongs to the results of --out; name another file with "
                 "--json");
  expect_refused("run tiny.yaml --out out --json out/results.1.sqlite",
                 "out/results.1.sqlite: belongs to the results of --out; name another file with "
                 "--json");
  expect_refused("results out --csv out/results.2.sqlite",
                 "out/results.2.sqlite: is read by this command and would be replaced; name "
                 "another file with --csv");
  EXPECT_NE(run("results out").out.find("4 cells: 4 ok"), std::string::npos);
}

TEST_F(Sharing, BadShardsAreRefused) {
  write("tiny.yaml", kTiny);
  for (const std::string shard : {"", "0/2", "3/2", "x"}) {
    expect_refused("run tiny.yaml --out out --shard '" + shard + "'",
                   "--shard " + shard +
                       ": give the number of a part, from 1, and how many parts there are, for "
                       "example --shard 2/8");
  }
  expect_refused("run tiny.yaml --shard 1/2", "--shard: name the folder of the results with --out");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
}

constexpr const char* kWaiting =
    "maskerade: note: out/results.sqlite: another program holds it; waiting until it lets go\n";

TEST_F(Sharing, ARunWaitsForALockFromItsStart) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out --cell 0").exit_code, 0);
  const Connection holder(database());
  holder.query("BEGIN EXCLUSIVE");
  const pid_t child = start_beside("run", "run tiny.yaml --out out --resume --no-peaks");
  await_line(child, "run.err");
  EXPECT_EQ(read("run.err"), kWaiting);
  EXPECT_EQ(holder.query("SELECT count(*) FROM cells"), Texts{"1"});
  holder.query("COMMIT");
  EXPECT_EQ(wait_for(child), 0) << read("run.err");
  EXPECT_EQ(occurrences(read("run.err"), kWaiting), 1) << read("run.err");
  EXPECT_EQ(query("SELECT cell FROM cells ORDER BY cell"), (Texts{"0", "1", "2", "3"}));
}

TEST_F(Sharing, ARunWaitsForALockBetweenItsCells) {
  write("forty.yaml", kFortyCells);
  // Whether the database was locked before the run had ended, which then waited.
  const auto was_locked = [&] {
    std::filesystem::remove_all(folder_ / "out");
    std::filesystem::remove(folder_ / "run.err");
    const pid_t child = start_beside("run", "run forty.yaml --out out --no-peaks");
    await(child, [&] { return read("run.err").find("] workload: p ") != std::string::npos; });
    const Connection holder(database());
    holder.query("BEGIN EXCLUSIVE");
    const bool has_ended = count("cells") == kForty;
    if (!has_ended) {
      await(child, [&] { return read("run.err").find(kWaiting) != std::string::npos; });
    }
    holder.query("COMMIT");
    EXPECT_EQ(wait_for(child), 0) << read("run.err");
    return !has_ended;
  };
  while (!was_locked() && !HasFailure()) {
  }
  EXPECT_EQ(occurrences(read("run.err"), kWaiting), 1) << read("run.err");
  EXPECT_EQ(count("cells WHERE status = 'ok'"), kForty);
  EXPECT_EQ(count("started"), 0);
}

TEST_F(Sharing, ARunThatIsStoppedWaitsToGiveItsCellUp) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out --cell 1").exit_code, 0);
  const pid_t child =
      start_beside("run", "run tiny.yaml --out out --resume --no-peaks " + std::string(kEndless));
  await(child, [&] { return count("started") == 1; });
  {
    const Connection holder(database());
    holder.query("BEGIN EXCLUSIVE");
    kill(child, SIGTERM);
    await_line(child, "run.err");
    EXPECT_EQ(read("run.err"), kWaiting);
    holder.query("COMMIT");
  }
  EXPECT_EQ(wait_for(child), 130);
  EXPECT_EQ(occurrences(read("run.err"), kWaiting), 1) << read("run.err");
  EXPECT_NE(read("run.err").find("interrupted: 0 of 4 done; continue with --resume"),
            std::string::npos)
      << read("run.err");
  EXPECT_EQ(count("started"), 0);
  EXPECT_EQ(count("cells"), 1);
}

TEST_F(Sharing, AReaderKeepsNoRunWaiting) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out --cell 0").exit_code, 0);
  const Connection reader(database());
  reader.query("BEGIN");
  EXPECT_EQ(reader.query("SELECT count(*) FROM cells"), Texts{"1"});
  const ProgramResult finished = run("run tiny.yaml --out out --resume");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(occurrences(finished.err, kWaiting), 0) << finished.err;
  EXPECT_EQ(reader.query("SELECT count(*) FROM cells"), Texts{"1"});
  EXPECT_EQ(count("cells"), 4);
}

// The largest resident memory, in kilobytes, of a program that ran to its end.
std::int64_t peak_kilobytes_of(pid_t child) {
  int status = 0;
  rusage usage{};
  EXPECT_EQ(wait4(child, &status, 0, &usage), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return usage.ru_maxrss;
}

TEST_F(Sharing, CellsLeaveNoHeadsInMemory) {
  constexpr std::int64_t kHeads = 65'536;
  write("heads.yaml", R"(name: heads
workload: {source: {kind: gaussian, seed: 1}, batch: 512, query_heads: 128, kv_heads: 1,
           query_len: 1, key_len: 4, head_dim: 8}
pipelines: {p: [{sink: {sweep: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}}]}
measure: {target: 50%, budget: 0.001ms}
check: {oracle_rows: 1}
)");
  // A sanitizer keeps freed memory for a while.
  setenv("ASAN_OPTIONS", "quarantine_size_mb=1", 1);
  const auto peak = [&](const std::string& choice) {
    return peak_kilobytes_of(
        start_beside("run", "run heads.yaml --out out --resume --no-peaks --quiet " + choice));
  };
  const std::int64_t of_few = peak("--cell 0 --cell 1");
  const std::int64_t of_many = peak("");
  unsetenv("ASAN_OPTIONS");
  EXPECT_EQ(count("cells"), 13);
  EXPECT_EQ(count("heads"), 13 * kHeads);
  // A head takes more than 32 bytes; what 11 more cells have would be 22 MB.
  EXPECT_LT(of_many - of_few, 11 * kHeads * 32 / 1024 / 2);
}

std::string renamed(const std::string& name) {
  return std::string(kTiny).replace(0, std::string("name: tiny").size(), "name: " + name);
}

TEST_F(Sharing, TwoExperimentsKeepTheirCells) {
  write("one.yaml", renamed("one"));
  write("two.yaml", renamed("two"));
  ASSERT_EQ(run("run one.yaml --out out").exit_code, 0);
  // The other one's cells are not of an earlier run.
  const ProgramResult other = run("run two.yaml --out out");
  EXPECT_EQ(other.exit_code, 0) << other.err;
  EXPECT_EQ(other.out.find("kept"), std::string::npos) << other.out;
  EXPECT_EQ(other.err.find("note"), std::string::npos) << other.err;
  const std::string numbers =
      "SELECT experiment, cell FROM cells WHERE cell IS NOT NULL "
      "ORDER BY experiment, cell";
  const Texts all = {"one|0", "one|1", "one|2", "one|3", "two|0", "two|1", "two|2", "two|3"};
  EXPECT_EQ(query(numbers), all);
  const ProgramResult changed =
      run("run two.yaml --out out --resume --set workload.source.seed=77");
  EXPECT_NE(changed.err.find("4 older cells do not match this run (data changed)"),
            std::string::npos)
      << changed.err;
  EXPECT_EQ(query(numbers), all);
  EXPECT_EQ(query("SELECT DISTINCT experiment FROM cells WHERE cell IS NULL"), Texts{"two"});
  const ProgramResult shown = run("results out --json all.jsonl");
  EXPECT_NE(without_noise(shown.out).find("8 cells: 8 ok"), std::string::npos) << shown.out;
  EXPECT_EQ(json_lines("all.jsonl").size(), 8U);
}

TEST_F(Sharing, TheNoteOfOlderCellsNamesWhatChanged) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out").exit_code, 0);
  const auto note_of = [&](const std::string& arguments) {
    const ProgramResult finished = run("run tiny.yaml --out out --resume " + arguments);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    std::istringstream lines(finished.err);
    std::string notes;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("maskerade: note: ")) notes += line.substr(17);
    }
    return notes;
  };
  EXPECT_EQ(note_of(""), "");
  EXPECT_EQ(note_of("--set workload.source.seed=2"),
            "4 older cells do not match this run (data changed) and are kept with cell = NULL");
  EXPECT_EQ(note_of("--set workload.source.seed=2"),
            "4 older cells do not match this run (data changed) and are kept with cell = NULL");
  EXPECT_EQ(note_of("--set workload.source.seed=2 --set measure.budget=30ms --threads 1"),
            "8 older cells do not match this run (threads, data, check changed) and are kept with "
            "cell = NULL");
  // Cells that are asked for again get their numbers back.
  EXPECT_EQ(note_of(""),
            "8 older cells do not match this run (threads, data, check changed) and are kept with "
            "cell = NULL");
  EXPECT_EQ(query("SELECT cell, seed FROM cells WHERE cell IS NOT NULL ORDER BY cell"),
            (Texts{"0|1", "1|1", "2|1", "3|1"}));
}

TEST_F(Sharing, ARunOfSomeCellsChangesNoNumbers) {
  write("tiny.yaml", kTiny);
  ASSERT_EQ(run("run tiny.yaml --out out").exit_code, 0);
  const std::string of_first = "SELECT key, cell FROM cells WHERE seed = 1 ORDER BY key";
  const Texts before = query(of_first);
  const std::string changed = "run tiny.yaml --out out --resume --set workload.source.seed=2 ";
  for (const std::string choice : {"--only 'top*'", "--cell 1"}) {
    const ProgramResult finished = run(changed + choice);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_EQ(finished.err.find("older"), std::string::npos) << finished.err;
    EXPECT_EQ(query(of_first), before) << choice;
  }
  EXPECT_EQ(query("SELECT cell, pipeline FROM cells WHERE seed = 2 ORDER BY cell"),
            (Texts{"0|dense", "1|streaming", "2|topk budget=5%", "3|topk budget=100%"}));
  const ProgramResult whole = run(changed);
  EXPECT_NE(whole.out.find("; 4 kept from an earlier run"), std::string::npos) << whole.out;
  EXPECT_EQ(count("cells WHERE seed = 1 AND cell IS NULL"), 4);
}

TEST_F(Sharing, CellsAreChosenByPipelineOrNumber) {
  write("tiny.yaml", kTiny);
  const auto pipelines_of = [&](const std::string& choice) {
    const ProgramResult finished = run("run tiny.yaml --json cells.jsonl " + choice);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    Texts pipelines;
    for (const nlohmann::json& cell : json_lines("cells.jsonl")) {
      pipelines.push_back(std::to_string(cell.at("cell").get<int>()) + " " +
                          cell.at("pipeline").get<std::string>());
    }
    return pipelines;
  };
  EXPECT_EQ(pipelines_of("--only 's*'"), (Texts{"0 dense", "1 streaming"}));
  EXPECT_EQ(pipelines_of("--only 'topk budget=5%' --only streaming"),
            (Texts{"0 dense", "1 streaming", "2 topk budget=5%"}));
  EXPECT_EQ(pipelines_of("--cell 3 --cell 1"), (Texts{"1 streaming", "3 topk budget=100%"}));
  expect_refused("run tiny.yaml --only 'quest*'",
                 "--only quest*: no pipeline has such a name; there are: streaming, topk");
  expect_refused("run tiny.yaml --cell 4",
                 "--cell 4: there is no such cell; the experiment has the cells 0 to 3, which "
                 "--dry-run lists");
  expect_refused("run tiny.yaml --only streaming --cell 2",
                 "--cell 2: is not of a pipeline that --only names");
}

TEST_F(Sharing, FailedCellsAreRunAgainOnlyWhenAskedTo) {
  write("tiny.yaml", kTiny);
  const std::string failing = "run tiny.yaml --out out --set workload.scale=1e8 ";
  EXPECT_EQ(run(failing).exit_code, 1);
  EXPECT_NE(run(failing + "--resume").out.find("; 4 kept"), std::string::npos);
  EXPECT_EQ(query("SELECT DISTINCT run FROM cells"), Texts{"1"});
  const ProgramResult again = run(failing + "--retry-failed");
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_EQ(again.out.find("kept"), std::string::npos) << again.out;
  EXPECT_EQ(query("SELECT count(*), min(run) FROM cells"), Texts{"4|3"});
  expect_refused("run tiny.yaml --retry-failed",
                 "--retry-failed: name the folder of the results with --out");
}

TEST_F(Sharing, ADryRunEstimatesTheTimeAndMeasuresNothing) {
  write("tiny.yaml", kTiny);
  const std::string dry = "run tiny.yaml --out out --dry-run --set measure.budget=10s ";
  const ProgramResult all = run(dry);
  EXPECT_EQ(all.exit_code, 0) << all.err;
  EXPECT_TRUE(std::regex_search(
      all.out, std::regex("\nabout [0-9]+ s: 40 s of repeating, where each cell takes its "
                          "measure.budget, and [0-9]+ s of loading data; without checks and "
                          "searches\n4 cells; ")))
      << all.out;
  const ProgramResult some = run(dry + "--only streaming");
  EXPECT_NE(some.out.find(" s: 20 s of repeating"), std::string::npos) << some.out;
  EXPECT_NE(some.out.find("\n2 cells; "), std::string::npos) << some.out;
  EXPECT_NE(run(dry + "--cell 1").out.find("\n1 cell; "), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
}

}  // namespace
}  // namespace maskerade
