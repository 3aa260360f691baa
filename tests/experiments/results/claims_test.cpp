#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "experiments/results/cell_json.hpp"
#include "experiments/results/columns.hpp"
#include "experiments/results/detail/results_file.hpp"
#include "experiments/results/result_reader.hpp"
#include "experiments/results/result_store.hpp"
#include "tests/experiments/results/results_folder_for_test.hpp"

namespace maskerade {
namespace {

RunRecord run_of(const std::string& experiment) {
  RunRecord run;
  run.experiment = experiment;
  return run;
}

StartedCell begun(const CellResult& cell) {
  return {.key = cell.key,
          .cell = cell.cell,
          .experiment = cell.experiment,
          .workload = cell.workload,
          .pipeline = cell.pipeline,
          .device = cell.device,
          .kernel = cell.kernel,
          .mask_seed = cell.mask_seed,
          .started_at = "2025-01-31T12:00:00Z",
          .maskers = cell.plugins};
}

// Whether a claim says that the cell is now this run's to measure.
bool is_given(const CellClaim& claim) { return !claim.finished && !claim.is_taken; }

class Claims : public ResultsFolder {
 protected:
  static CellResult cell_of(const std::string& experiment,
                            const std::string& key,
                            std::int64_t number) {
    CellResult result = cell(key);
    result.experiment = experiment;
    result.cell = number;
    return result;
  }
  static CellClaim claim(ResultStore& store, const std::string& key, bool retries_failed = false) {
    return store.claim(begun(cell(key)), retries_failed);
  }
  // Begins a cell in a process of its own, which is then killed.
  void begin_and_be_killed(const std::string& key) const {
    const pid_t child = fork();
    if (child == 0) {
      ResultStore store(folder_);
      store.begin_run(run_of("methods"));
      claim(store, key);
      kill(getpid(), SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
  }
};

TEST_F(Claims, SayWhatHasBegun) {
  CellResult result = cell("k");
  result.mask_seed = std::numeric_limits<std::uint64_t>::max();
  ResultStore store(folder_);
  const std::int64_t run = store.begin_run(run_of("methods"));
  const CellClaim claimed = store.claim(begun(result));
  EXPECT_TRUE(is_given(claimed));
  EXPECT_FALSE(claimed.has_died);
  EXPECT_EQ(query("SELECT key || ' ' || cell || ' ' || pipeline FROM started"),
            "k 3 topk budget=5%\n");
  EXPECT_EQ(query("SELECT json_extract(maskers, '$.oracle_topk') FROM started"), "ff00\n");
  const std::vector<StartedCell> started = ResultReader(folder_).started();
  ASSERT_EQ(started.size(), 1U);
  StartedCell expected = begun(result);
  expected.run = run;
  for (const Column<StartedCell>& column : started_columns()) {
    EXPECT_EQ(text_of(column.get(started.front())), text_of(column.get(expected))) << column.name;
  }
  // It is no cell of the results yet.
  EXPECT_EQ(store.cell_count(), 0);
  EXPECT_FALSE(store.find_finished("k").has_value());
  EXPECT_TRUE(ResultReader(folder_).cells().empty());
}

TEST_F(Claims, AreRefusedWhileTheRunThatHasBegunTheCellLives) {
  ResultStore other(folder_);
  auto first = std::make_unique<ResultStore>(folder_);
  first->begin_run(run_of("methods"));
  other.begin_run(run_of("methods"));
  EXPECT_TRUE(is_given(claim(*first, "k")));
  const CellClaim refused = claim(other, "k");
  EXPECT_TRUE(refused.is_taken);
  EXPECT_FALSE(refused.has_died);
  EXPECT_FALSE(refused.finished.has_value());
  EXPECT_EQ(query("SELECT run FROM started"), "1\n");
  first.reset();
  const CellClaim left = claim(other, "k");
  EXPECT_TRUE(is_given(left));
  EXPECT_TRUE(left.has_died);
  EXPECT_EQ(query("SELECT run FROM started"), "2\n");
}

TEST_F(Claims, TellThatARunWasKilledInTheCell) {
  begin_and_be_killed("k");
  ResultStore store(folder_);
  store.begin_run(run_of("methods"));
  const CellClaim left = claim(store, "k");
  EXPECT_TRUE(is_given(left));
  EXPECT_TRUE(left.has_died);
  EXPECT_FALSE(claim(store, "another").has_died);
}

TEST_F(Claims, AreRefusedToOneThatOpensTheFolderByALink) {
  const std::filesystem::path link = folder_ / "link";
  std::filesystem::create_directories(folder_ / "target");
  std::filesystem::create_directory_symlink(folder_ / "target", link);
  ResultStore store(folder_ / "target");
  store.begin_run(run_of("methods"));
  claim(store, "k");
  ResultStore other(link);
  other.begin_run(run_of("methods"));
  EXPECT_TRUE(claim(other, "k").is_taken);
  EXPECT_TRUE(ResultReader(link).started().front().is_running);
}

TEST_F(Claims, GiveAFinishedCellBackWithoutHeadsAndSteps) {
  CellResult result = cell("k");
  result.heads = {{.head = 0}, {.head = 1}};
  result.steps = {measured_step()};
  ResultStore store(folder_);
  store.begin_run(run_of("methods"));
  store.write(result);
  const CellClaim claimed = claim(store, "k");
  ASSERT_TRUE(claimed.finished.has_value());
  EXPECT_FALSE(claimed.is_taken);
  EXPECT_EQ(to_json_line(*claimed.finished), to_json_line(result));
  EXPECT_EQ(claimed.finished->key, "k");
  EXPECT_TRUE(claimed.finished->heads.empty());
  EXPECT_TRUE(claimed.finished->steps.empty());
  EXPECT_EQ(query("SELECT count(*) FROM started"), "0\n");
  EXPECT_EQ(store.find_finished("k")->heads.size(), 2U);
}

TEST_F(Claims, GiveAFailedCellOutAgainOnlyWhenAskedTo) {
  CellResult failed = cell("k");
  failed.status = CellStatus::kFailed;
  failed.reason = "it failed";
  failed.run = 0;
  ResultStore store(folder_);
  store.begin_run(run_of("methods"));
  store.write(failed);
  store.write(cell("ok"));
  ASSERT_TRUE(claim(store, "k").finished.has_value());
  EXPECT_EQ(claim(store, "k").finished->reason, "it failed");
  EXPECT_TRUE(is_given(claim(store, "k", true)));
  EXPECT_TRUE(claim(store, "ok", true).finished.has_value());
  // Its failure stays until there is another result.
  EXPECT_EQ(store.find_finished("k")->reason, "it failed");
  store.write(cell("k"));
  EXPECT_EQ(store.find_finished("k")->status, CellStatus::kOk);
  EXPECT_EQ(store.cell_count(), 2);
}

TEST_F(Claims, GiveAFailureOutToOneOfTheRunsThatRetryAtOnce) {
  const auto fail = [](ResultStore& store, std::int64_t run, const std::string& key) {
    CellResult failed = cell(key);
    failed.status = CellStatus::kFailed;
    failed.run = run;
    store.write(failed);
  };
  {
    ResultStore earlier(folder_);
    const std::int64_t run = earlier.begin_run(run_of("methods"));
    fail(earlier, run, "a");
    fail(earlier, run, "b");
  }
  auto first = std::make_unique<ResultStore>(folder_);
  const std::int64_t first_run = first->begin_run(run_of("methods"));
  ResultStore second(folder_);
  const std::int64_t second_run = second.begin_run(run_of("methods"));
  EXPECT_TRUE(is_given(claim(*first, "a", true)));
  fail(*first, first_run, "a");
  EXPECT_TRUE(claim(second, "a", true).finished.has_value());
  EXPECT_TRUE(is_given(claim(second, "b", true)));
  fail(second, second_run, "b");
  EXPECT_TRUE(claim(*first, "b", true).finished.has_value());
  first.reset();
  EXPECT_TRUE(claim(second, "a", true).finished.has_value());
  // A run that begins later takes both as failures of earlier ones, but not of one that lives.
  ResultStore third(folder_);
  third.begin_run(run_of("methods"));
  EXPECT_TRUE(is_given(claim(third, "a", true)));
  EXPECT_TRUE(claim(third, "b", true).finished.has_value());
}

TEST_F(Claims, GiveOutAgainWhatWasUnavailableOrHadNoData) {
  CellResult unavailable = cell("unavailable");
  unavailable.status = CellStatus::kUnavailable;
  CellResult without = cell("without");
  without.status = CellStatus::kFailed;
  without.pipeline = "another";
  without.facts.reset();
  ResultStore store(folder_);
  store.begin_run(run_of("methods"));
  store.write(unavailable);
  store.write(without);
  EXPECT_TRUE(is_given(claim(store, "unavailable")));
  EXPECT_TRUE(is_given(claim(store, "without")));
}

TEST_F(Claims, EndWhenTheCellIsWritten) {
  ResultStore store(folder_);
  store.begin_run(run_of("methods"));
  claim(store, "ok");
  claim(store, "failed");
  claim(store, "still running");
  store.write(cell("ok"));
  CellResult failed = cell("failed");
  failed.status = CellStatus::kFailed;
  store.write(failed);
  EXPECT_EQ(query("SELECT key FROM started"), "still running\n");
}

TEST_F(Claims, CanBeGivenUp) {
  ResultStore store(folder_);
  store.begin_run(run_of("methods"));
  claim(store, "k");
  claim(store, "another");
  store.abandon("k");
  EXPECT_EQ(query("SELECT key FROM started"), "another\n");
  ResultStore other(folder_);
  other.begin_run(run_of("methods"));
  const CellClaim claimed = claim(other, "k");
  EXPECT_TRUE(is_given(claimed));
  EXPECT_FALSE(claimed.has_died);
}

TEST_F(Claims, OfAnotherRunAreNotGivenUp) {
  ResultStore store(folder_);
  ResultStore other(folder_);
  store.begin_run(run_of("methods"));
  other.begin_run(run_of("methods"));
  claim(store, "k");
  other.abandon("k");
  EXPECT_TRUE(claim(other, "k").is_taken);
}

TEST_F(Claims, MayComeTwiceFromOneRun) {
  ResultStore store(folder_);
  store.begin_run(run_of("methods"));
  claim(store, "k");
  const CellClaim again = claim(store, "k");
  EXPECT_TRUE(is_given(again));
  EXPECT_FALSE(again.has_died);
  EXPECT_EQ(query("SELECT count(*) FROM started"), "1\n");
}

TEST_F(Claims, OfManyRunsAtOnceAreGivenToOneOfThem) {
  constexpr int kCells = 100;
  std::map<std::string, int> given;  // how often, by key
  std::mutex guard;
  const auto work = [&] {
    ResultStore store(folder_);
    store.begin_run(run_of("methods"));
    for (int i = 0; i < kCells; ++i) {
      const std::string key = std::to_string(i);
      if (!is_given(claim(store, key))) continue;
      {
        const std::lock_guard lock(guard);
        ++given[key];
      }
      store.write(cell(key));
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(given.size(), std::size_t{kCells});
  for (const auto& [key, times] : given) EXPECT_EQ(times, 1) << key;
  EXPECT_EQ(query("SELECT count(*) FROM cells"), std::to_string(kCells) + "\n");
  EXPECT_EQ(query("SELECT count(*) FROM started"), "0\n");
  EXPECT_EQ(query("SELECT run FROM runs ORDER BY run"), "1\n2\n3\n4\n");
}

TEST_F(Claims, CountAsCellsOfTheirExperiment) {
  ResultStore store(folder_);
  store.begin_run(run_of("one"));
  EXPECT_EQ(store.cell_count("one"), 0);
  store.write(cell_of("one", "a", 0));
  store.claim(begun(cell_of("one", "b", 1)));
  store.write(cell_of("other", "c", 0));
  EXPECT_EQ(store.cell_count("one"), 2);
  EXPECT_EQ(store.cell_count("other"), 1);
  EXPECT_EQ(store.cell_count("none"), 0);
  // Finished cells of all experiments.
  EXPECT_EQ(store.cell_count(), 2);
}

TEST_F(Claims, AreSeenToBeOfALivingOrADeadRun) {
  begin_and_be_killed("of a dead run");
  ResultStore store(folder_);
  store.begin_run(run_of("methods"));
  claim(store, "of a living run");
  const ResultReader reader(folder_);
  const auto running = [&] {
    std::vector<std::pair<std::string, bool>> cells;
    for (const StartedCell& cell : reader.started()) cells.emplace_back(cell.key, cell.is_running);
    return cells;
  };
  using Running = std::vector<std::pair<std::string, bool>>;
  EXPECT_EQ(running(), (Running{{"of a dead run", false}, {"of a living run", true}}));
  { const ResultStore ended = std::move(store); }
  EXPECT_EQ(running(), (Running{{"of a dead run", false}, {"of a living run", false}}));
}

TEST_F(Claims, AndCellsAreSafeFromReadersInTheSameProcess) {
  // Another process, which knows of no file that this one opens later. Where it is the only one to
  // have the database open it tidies up in the end.
  std::array<int, 2> starter{};
  ASSERT_EQ(pipe(starter.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    char ignored = 0;
    const bool may_start = ::read(starter[0], &ignored, 1) == 1;
    if (may_start) const ResultStore other(folder_);
    _exit(may_start ? 0 : 1);
  }
  ResultStore store(folder_);
  store.begin_run(run_of("methods"));
  claim(store, "k");
  EXPECT_EQ(ResultReader(folder_).started().size(), 1U);
  EXPECT_EQ(::write(starter[1], "x", 1), 1);
  int status = 1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  for (const int end : starter) close(end);
  EXPECT_TRUE(std::filesystem::exists(side_file("-wal")));
  store.write(cell("k"));
  EXPECT_EQ(query("SELECT key FROM cells"), "k\n");
}

// The keys of the cells that have a number, in its order.
constexpr const char* kNumbered = "SELECT key FROM cells WHERE cell IS NOT NULL ORDER BY cell, key";

TEST_F(Claims, KeepTheNumbersOfTheirCells) {
  {
    ResultStore earlier(folder_);
    earlier.begin_run(run_of("one"));
    int number = 0;
    for (const char* key : {"claimed", "renumbered", "of another version"}) {
      earlier.write(cell_of("one", key, number++));
    }
    earlier.write(cell_of("other", "of the other experiment", 0));
  }
  ResultStore store(folder_);
  store.begin_run(run_of("one"));
  store.claim(begun(cell_of("one", "claimed", 0)));
  store.renumber("renumbered", 7);
  store.write(cell_of("one", "written", 8));
  EXPECT_EQ(store.finish_run("one"), 1);
  EXPECT_EQ(query(kNumbered), "claimed\nof the other experiment\nrenumbered\nwritten\n");
  EXPECT_EQ(query("SELECT key FROM cells WHERE cell IS NULL"), "of another version\n");
  // It counts those of its own experiment alone, also those that lost their numbers before.
  EXPECT_EQ(store.finish_run("one"), 1);
}

TEST_F(Claims, OfTwoExperimentsDoNotTakeEachOthersNumbers) {
  const auto run_whole = [&](const std::string& experiment, const std::string& version) {
    ResultStore store(folder_);
    store.begin_run(run_of(experiment));
    for (int i = 0; i < 2; ++i) {
      store.write(cell_of(experiment, experiment + version + std::to_string(i), i));
    }
    return store.finish_run(experiment);
  };
  EXPECT_EQ(run_whole("one", " a"), 0);
  EXPECT_EQ(run_whole("two", " a"), 0);
  EXPECT_EQ(query(kNumbered), "one a0\ntwo a0\none a1\ntwo a1\n");
  EXPECT_EQ(run_whole("two", " b"), 2);
  EXPECT_EQ(query(kNumbered), "one a0\ntwo b0\none a1\ntwo b1\n");
}

TEST_F(Claims, AreOfARunThatIsKeptAsItWasGiven) {
  RunRecord run;
  run.experiment = "methods";
  run.file = "experiments/methods.yaml";
  run.yaml = "name: methods\n# caf\xc3\xa9\n";
  run.assignments = {{"measure.budget", "1ms"}, {"devices", "[cpu]"}};
  run.started_at = "2025-01-31T12:00:00Z";
  run.host = "node7";
  run.process = 4711;
  run.machine = "some processor, AVX2";
  run.threads = 12;
  run.load_average = 0.75;
  run.program_version = "0.1.0+00ff";
  run.commit = "0123abcd";
  run.tree_state = "changed";
  run.compiler = "GNU 14.2.0";
  run.compiler_flags = "-O3";
  run.plugin_files = {{"sink", "/plugins/sink.so"}};
  run.plugin_hashes = {{"sink", "00ff"}};
  run.plugin_builds = {{"sink", "unknown"}};
  ResultStore store(folder_);
  EXPECT_EQ(store.begin_run(run), 1);
  RunRecord without_load = run;
  without_load.load_average.reset();
  without_load.experiment = "others";
  EXPECT_EQ(ResultStore(folder_).begin_run(without_load), 2);
  const std::vector<RunRecord> runs = ResultReader(folder_).runs();
  ASSERT_EQ(runs.size(), 2U);
  run.run = 1;
  without_load.run = 2;
  for (const Column<RunRecord>& column : run_columns()) {
    EXPECT_EQ(column.get(runs.front()), column.get(run)) << column.name;
    EXPECT_EQ(column.get(runs.back()), column.get(without_load)) << column.name;
  }
}

TEST_F(Claims, OfCellsThatAreWrittenLeadToNoScanOfTheTable) {
  { const ResultStore store(folder_); }
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(file().c_str(), &database), SQLITE_OK);
  std::string plan;
  const auto add = [](void* to, int columns, char** values, char**) {
    *static_cast<std::string*>(to) += std::string(values[columns - 1]) + "\n";
    return 0;
  };
  const std::string sql = std::string("EXPLAIN QUERY PLAN ") + detail::kDeleteWithoutData;
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), add, &plan, nullptr), SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
  EXPECT_NE(plan.find("USING INDEX cells_without_data"), std::string::npos) << plan;
  EXPECT_EQ(plan.find("SCAN cells"), std::string::npos) << plan;
}

}  // namespace
}  // namespace maskerade
