#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/result_reader.hpp"
#include "experiments/results/result_store.hpp"
#include "tests/experiments/results/results_folder_for_test.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

class Shards : public ResultsFolder {
 protected:
  // Writes cells "EXPERIMENT NUMBER" to the file of a shard; none: that without one.
  void write_cells(std::optional<std::int64_t> shard,
                   const std::string& experiment,
                   const std::vector<std::int64_t>& numbers) const {
    ResultStore store(folder_, options_of(shard));
    RunRecord run;
    run.experiment = experiment;
    store.begin_run(run);
    for (const std::int64_t number : numbers) {
      CellResult result = cell(experiment + " " + std::to_string(number));
      result.experiment = experiment;
      result.cell = number;
      result.heads = {{.head = 0}, {.head = 1}};
      store.write(result);
    }
  }
  static StoreOptions options_of(std::optional<std::int64_t> shard) {
    StoreOptions options;
    if (shard) options.shard = Shard{.index = *shard, .count = 20};
    return options;
  }
  std::vector<std::string> names_in_folder() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.path().extension() == ".sqlite") names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  static std::vector<std::string> file_names(const ResultReader& reader) {
    std::vector<std::string> names;
    for (const fs::path& file : reader.files()) names.push_back(file.filename());
    return names;
  }
  static std::vector<std::string> keys(const ResultReader& reader) {
    std::vector<std::string> keys;
    for (const CellResult& cell : reader.cells()) keys.push_back(cell.key);
    return keys;
  }
};

using Names = std::vector<std::string>;

TEST_F(Shards, AreWrittenToFilesOfTheirOwn) {
  write_cells(2, "methods", {1});
  write_cells(12, "methods", {2});
  EXPECT_EQ(names_in_folder(), (Names{"results.12.sqlite", "results.2.sqlite"}));
  EXPECT_EQ(ResultStore::file_of(folder_, Shard{.index = 12, .count = 20}),
            folder_ / "results.12.sqlite");
  EXPECT_EQ(ResultStore::file_of(folder_), folder_ / "results.sqlite");
  EXPECT_EQ(ResultStore(folder_, options_of(2)).file(), folder_ / "results.2.sqlite");
}

TEST_F(Shards, AreReadAsOneFolderInTheOrderOfTheCells) {
  write_cells(10, "methods", {5, 6});
  write_cells(2, "methods", {3, 4, 9});
  write_cells(1, "methods", {7, 0});
  write_cells({}, "methods", {8, 1, 2});
  const ResultReader reader(folder_);
  EXPECT_EQ(file_names(reader),
            (Names{"results.sqlite", "results.1.sqlite", "results.2.sqlite", "results.10.sqlite"}));
  EXPECT_EQ(reader.cell_count(), 10);
  EXPECT_EQ(keys(reader), (Names{"methods 0", "methods 1", "methods 2", "methods 3", "methods 4",
                                 "methods 5", "methods 6", "methods 7", "methods 8", "methods 9"}));
  for (const CellResult& cell : reader.cells()) EXPECT_EQ(cell.heads.size(), 2U) << cell.key;
  for (const char* key : {"methods 8", "methods 0", "methods 4", "methods 6"}) {
    const std::optional<CellResult> found = reader.find(key);
    ASSERT_TRUE(found.has_value()) << key;
    EXPECT_EQ(found->key, key);
  }
  EXPECT_FALSE(reader.find("methods 10").has_value());
}

TEST_F(Shards, KeepExperimentsTogetherAndCellsWithoutANumberLast) {
  write_cells(1, "one", {0, 1});
  write_cells(1, "two", {0});
  write_cells(2, "three", {0});
  write_cells(2, "two", {1});
  write_cells(2, "one", {2});
  {
    // A later version of the experiment, whose cells have other keys.
    ResultStore store(folder_, options_of(1));
    EXPECT_EQ(store.finish_run("one"), 2);
  }
  EXPECT_EQ(keys(ResultReader(folder_)),
            (Names{"one 2", "two 0", "two 1", "three 0", "one 0", "one 1"}));
}

TEST_F(Shards, GiveACellOnceThoughSeveralFilesHoldIt) {
  write_cells({}, "methods", {0, 1, 2});
  write_cells(1, "methods", {0, 1});
  write_cells(2, "methods", {2});
  {
    // A later run of other cells: its file's cell of this key has no number any more.
    ResultStore store(folder_);
    EXPECT_EQ(store.finish_run("methods"), 3);
  }
  const std::vector<CellResult> cells = ResultReader(folder_).cells();
  ASSERT_EQ(cells.size(), 3U);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    EXPECT_EQ(cells[i].cell, static_cast<std::int64_t>(i));
    EXPECT_EQ(cells[i].key, "methods " + std::to_string(i));
  }
}

TEST_F(Shards, AreFilteredAsOne) {
  write_cells(1, "one", {0, 1});
  write_cells(2, "two", {1});
  const ResultReader reader(folder_);
  const std::vector<CellResult> found =
      reader.cells({.conditions = {{"cell", "1"}}, .with_parts = false});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found.front().key, "one 1");
  EXPECT_EQ(found.back().key, "two 1");
  EXPECT_TRUE(found.front().heads.empty());
}

TEST_F(Shards, TellOfTheRunsAndBegunCellsOfAllFiles) {
  write_cells(1, "one", {0});
  write_cells(1, "one", {1});
  ResultStore second(folder_, options_of(2));
  RunRecord run;
  run.experiment = "two";
  EXPECT_EQ(second.begin_run(run), 1);  // of its file
  EXPECT_FALSE(second.claim({.key = "k", .experiment = "two"}).is_taken);
  // Each file has runs and locks of its own.
  ResultStore first(folder_, options_of(1));
  first.begin_run(run);
  EXPECT_FALSE(first.claim({.key = "k", .experiment = "two"}).is_taken);
  const ResultReader reader(folder_);
  std::vector<std::string> runs;
  for (const RunRecord& each : reader.runs()) {
    runs.push_back(each.experiment + " " + std::to_string(each.run));
  }
  EXPECT_EQ(runs, (Names{"one 1", "one 2", "two 3", "two 1"}));
  ASSERT_EQ(reader.started().size(), 2U);
  EXPECT_EQ(reader.started().front().run, 3);
  EXPECT_EQ(reader.started().back().run, 1);
  for (const StartedCell& each : reader.started()) EXPECT_TRUE(each.is_running) << each.run;
}

TEST_F(Shards, HaveExactlyTheNamesThatRunsGive) {
  write_cells(1, "methods", {0});
  for (const char* name :
       {"results.x.sqlite", "results.01.sqlite", "results.0.sqlite", "results.-1.sqlite",
        "results.+1.sqlite", "results..sqlite", "results.1x.sqlite", "results.1.2.sqlite",
        "results.1.sqlite.bak", "old results.1.sqlite", "Results.3.sqlite",
        "results.99999999999999999999.sqlite", "results.3.SQLITE", "results.3.sqlite-wal"}) {
    std::ofstream(folder_ / name) << "not read";
  }
  const ResultReader reader(folder_);
  EXPECT_EQ(file_names(reader), Names{"results.1.sqlite"});
  EXPECT_EQ(keys(reader), Names{"methods 0"});
}

TEST_F(Shards, AreReadAloneByThePathOfTheirFile) {
  write_cells({}, "methods", {0});
  write_cells(1, "methods", {1});
  write_cells(2, "methods", {2});
  EXPECT_EQ(keys(ResultReader(folder_ / "results.2.sqlite")), Names{"methods 2"});
  EXPECT_EQ(keys(ResultReader(folder_ / "results.sqlite")), Names{"methods 0"});
  fs::rename(folder_ / "results.1.sqlite", folder_ / "kept.sqlite");
  EXPECT_EQ(keys(ResultReader(folder_ / "kept.sqlite")), Names{"methods 1"});
}

TEST_F(Shards, MayBeAllThatTheFolderHolds) {
  write_cells(3, "methods", {2});
  write_cells(2, "methods", {1});
  const ResultReader reader(folder_);
  EXPECT_EQ(file_names(reader), (Names{"results.2.sqlite", "results.3.sqlite"}));
  EXPECT_EQ(keys(reader), (Names{"methods 1", "methods 2"}));
}

TEST_F(Shards, ThatHaveNoTablesYetDoNotHideTheOthers) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "results.1.sqlite").flush();
  EXPECT_EQ(config_error_of([&] { const ResultReader reader(folder_); }),
            (folder_ / "results.1.sqlite").string() +
                ": holds no results yet; wait until its run has begun");
  write_cells(2, "methods", {1});
  const ResultReader reader(folder_);
  EXPECT_EQ(file_names(reader), Names{"results.2.sqlite"});
  EXPECT_EQ(keys(reader), Names{"methods 1"});
}

TEST_F(Shards, ThatAreDamagedAreNamed) {
  write_cells(1, "methods", {0});
  std::ofstream(folder_ / "results.2.sqlite") << "name: methods\n";
  EXPECT_EQ(config_error_of([&] { const ResultReader reader(folder_); }),
            (folder_ / "results.2.sqlite").string() +
                ": is not a results database; name the folder that a run was given with --out, or "
                "its results.sqlite");
}

TEST_F(Shards, AreMissedByThatName) {
  fs::create_directories(folder_);
  EXPECT_EQ(config_error_of([&] { const ResultReader reader(folder_); }),
            file().string() +
                ": is not there; name the folder that a run was given with --out, or its "
                "results.sqlite");
}

}  // namespace
}  // namespace maskerade
