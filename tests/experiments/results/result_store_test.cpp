#include "experiments/results/result_store.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "experiments/results/cell_json.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/results/results_folder_for_test.hpp"

namespace maskerade {
namespace {

class Store : public ResultsFolder {
 protected:
  // Expects that the folder is refused with this text, and that the file stays as it is.
  void expect_refused(const std::string& text) const {
    const std::string before = bytes();
    EXPECT_EQ(config_error_of([&] { const ResultStore store(folder_); }), text);
    EXPECT_TRUE(bytes() == before) << "the file has changed";
  }
};

TEST_F(Store, GivesBackWhatWasWritten) {
  const CellResult result = cell("k");
  {
    ResultStore store(folder_ / "deeper");
    EXPECT_EQ(store.cell_count(), 0);
    store.write(result);
  }
  const ResultStore store(folder_ / "deeper");
  EXPECT_EQ(store.cell_count(), 1);
  EXPECT_FALSE(store.find_finished("another").has_value());
  const std::optional<CellResult> found = store.find_finished("k");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(to_json_line(*found), to_json_line(result));
  EXPECT_EQ(found->key, "k");
}

TEST_F(Store, HoldsTextsThatEveryReaderDecodes) {
  CellResult result = cell("k");
  result.pipeline = "caf\xe9";
  result.reason = "\xff\xfe of a plugin";
  result.facts->source = "a tensor \xc3";
  result.params.push_back({"p\xe9", {{"n\xe9", "v\xe9"}}});
  ResultStore store(folder_);
  store.write(result);
  EXPECT_EQ(query("SELECT hex(pipeline) FROM cells"), "636166EFBFBD\n");
  EXPECT_EQ(query("SELECT pipeline || reason || source FROM cells"),
            "caf\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd of a plugina tensor \xef\xbf\xbd\n");
  EXPECT_EQ(query("SELECT json_extract(params, '$.p\xef\xbf\xbd.n\xef\xbf\xbd') FROM cells"),
            "v\xef\xbf\xbd\n");
  EXPECT_EQ(store.find_finished("k")->pipeline, "caf\xef\xbf\xbd");
}

TEST_F(Store, ForgetsAFailureWithoutDataWhateverItsNamesHold) {
  CellResult failed = cell("without data");
  failed.pipeline = "caf\xe9";
  failed.status = CellStatus::kFailed;
  failed.facts.reset();
  CellResult measured = cell("with data");
  measured.pipeline = failed.pipeline;
  ResultStore store(folder_);
  store.write(failed);
  store.write(measured);
  EXPECT_EQ(query("SELECT key FROM cells"), "with data\n");
}

TEST_F(Store, GivesTheHeadsAndStepsOfACellBack) {
  CellResult result = cell("k");
  result.heads = {{.head = 0, .density = 0.5}, {.head = 1, .density = 0.25, .route = "dense"}};
  result.steps = {measured_step()};
  ResultStore store(folder_);
  store.write(result);
  const std::optional<CellResult> found = store.find_finished("k");
  ASSERT_EQ(found->heads.size(), 2U);
  EXPECT_EQ(found->heads.front().density, 0.5);
  EXPECT_EQ(found->heads.back().route, "dense");
  ASSERT_EQ(found->steps.size(), 1U);
  EXPECT_EQ(found->steps.front().kv_bytes_touched, 10);
}

TEST_F(Store, HasTablesThatSqlCanRead) {
  CellResult result = cell("k");
  result.heads = {
      {.batch = 0, .head = 0, .density = 0.5, .recall = 0.25, .rel_l2_error = 2},
      {.batch = 0, .head = 1, .density = 0.75, .recall = 1, .rel_l2_error = 0, .route = "dense"}};
  result.facts->layer = 5;
  result.mask_seed = std::numeric_limits<std::uint64_t>::max();
  ResultStore store(folder_);
  store.write(result);
  // While the store is open.
  EXPECT_EQ(query("SELECT pipeline FROM cells WHERE total_ms > 25"), "topk budget=5%\n");
  EXPECT_EQ(query("SELECT params ->> '$.sink.tokens' FROM cells"), "128\n");
  EXPECT_EQ(query("SELECT mask_seed FROM cells"), "18446744073709551615\n");
  EXPECT_EQ(query("SELECT heads.layer || ' ' || head || ' ' || recall FROM heads JOIN cells USING "
                  "(key) ORDER BY head"),
            "5 0 0.25\n5 1 1.0\n");
  EXPECT_EQ(query("SELECT head FROM heads WHERE route = 'dense'"), "1\n");
  EXPECT_EQ(query("SELECT head FROM heads WHERE route IS NULL"), "0\n");
  EXPECT_EQ(query("SELECT count(*) FROM steps"), "0\n");
  EXPECT_EQ(query("PRAGMA journal_mode"), "wal\n");
  EXPECT_EQ(store.find_finished("k")->mask_seed, result.mask_seed);
}

TEST_F(Store, KeepsARowAStep) {
  CellResult result = cell("k");
  result.decode_steps = 2;
  result.steps = {measured_step(), {.step = 1, .key_len = 102}};
  ResultStore store(folder_);
  store.write(result);
  std::string columns;
  for (const char* column :
       {"step", "key_len", "append_ms", "select_ms", "plan_ms", "attend_ms", "dense_ms",
        "repetitions", "density", "recall", "rel_l2_error", "keys_scored", "select_bytes_read",
        "index_bytes", "kv_bytes_touched"}) {
    columns += (columns.empty() ? "steps." : " || ' ' || steps.") + std::string(column);
  }
  EXPECT_EQ(query("SELECT " + columns + " FROM steps JOIN cells USING (key) WHERE step = 0"),
            "0 101 0.25 0.5 0.75 1.25 1.5 3 0.125 0.625 0.375 7 8 9 10\n");
  EXPECT_EQ(query("SELECT key_len FROM steps ORDER BY step"), "101\n102\n");
  EXPECT_EQ(query("SELECT count(*) FROM steps WHERE append_ms IS NULL"), "1\n");
}

TEST_F(Store, ReplacesACellWithItsHeadsAndSteps) {
  CellResult result = cell("k");
  result.heads = {{.head = 0}, {.head = 1}};
  result.steps = {{.step = 0}, {.step = 1}};
  ResultStore store(folder_);
  store.write(result);
  result.heads.pop_back();
  result.steps.pop_back();
  result.reason = "again";
  store.write(result);
  EXPECT_EQ(store.cell_count(), 1);
  EXPECT_EQ(store.find_finished("k")->reason, "again");
  EXPECT_EQ(query("SELECT count(*) FROM heads"), "1\n");
  EXPECT_EQ(query("SELECT count(*) FROM steps"), "1\n");
}

TEST_F(Store, KeepsFailedCellsAndTriesUnavailableOnesAgain) {
  ResultStore store(folder_);
  CellResult failed = cell("failed");
  failed.status = CellStatus::kFailed;
  failed.times.reset();
  store.write(failed);
  CellResult unavailable = cell("unavailable");
  unavailable.status = CellStatus::kUnavailable;
  store.write(unavailable);
  EXPECT_TRUE(store.find_finished("failed").has_value());
  EXPECT_FALSE(store.find_finished("unavailable").has_value());
}

TEST_F(Store, ForgetsACellWithoutDataWhenItsDataIsThere) {
  ResultStore store(folder_);
  CellResult without = cell("without");
  without.status = CellStatus::kFailed;
  without.facts.reset();
  store.write(without);
  EXPECT_FALSE(store.find_finished("without").has_value());
  CellResult other = cell("other");
  other.pipeline = "another";
  store.write(other);
  EXPECT_EQ(store.cell_count(), 2);
  store.write(cell("with"));
  EXPECT_EQ(query("SELECT key FROM cells ORDER BY key"), "other\nwith\n");
}

TEST_F(Store, GivesACellAnotherNumber) {
  ResultStore store(folder_);
  store.write(cell("k"));
  store.renumber("k", 17);
  store.renumber("nobody", 18);
  EXPECT_EQ(store.find_finished("k")->cell, 17);
  EXPECT_EQ(store.cell_count(), 1);
}

TEST_F(Store, NamesACellThatCannotBeRead) {
  ResultStore store(folder_);
  store.write(cell("k"));
  query("UPDATE cells SET status = 'splendid'");
  EXPECT_EQ(config_error_of([&] { store.find_finished("k"); }),
            file().string() +
                ": cell k cannot be read (column status: \"splendid\" is none of its names); "
                "delete it from the table cells, or name another folder with --out");
}

TEST_F(Store, TakesADatabaseThatWasLeftBeforeItsTablesWereMade) {
  std::filesystem::create_directories(folder_);
  std::ofstream(file()).flush();
  ResultStore store(folder_);
  store.write(cell("k"));
  EXPECT_EQ(store.cell_count(), 1);
}

TEST_F(Store, SharesAFolderWithAnotherRun) {
  ResultStore first(folder_);
  ResultStore second(folder_);
  first.write(cell("a"));
  second.write(cell("b"));
  EXPECT_EQ(first.cell_count(), 2);
  EXPECT_EQ(second.cell_count(), 2);
}

TEST_F(Store, RefusesADatabaseOfAnotherFormat) {
  { const ResultStore store(folder_); }
  query("PRAGMA user_version = 7");
  expect_refused(file().string() +
                 ": holds results in format 7; this version of the program reads and writes format "
                 "6; name another folder with --out, or move the file away");
}

TEST_F(Store, RefusesADatabaseThatLacksAColumn) {
  { const ResultStore store(folder_); }
  query("ALTER TABLE steps DROP COLUMN plan_ms");
  expect_refused(file().string() +
                 ": its table steps has no column plan_ms, which results in format 6 have; name "
                 "another folder with --out, or move the file away");
}

TEST_F(Store, RefusesADatabaseOfAnotherProgram) {
  std::filesystem::create_directories(folder_);
  query("CREATE TABLE cells (key TEXT)");
  expect_refused(file().string() +
                 ": is a database of another program; name another folder with --out, or move the "
                 "file away");
}

TEST_F(Store, RefusesAFileThatIsNoDatabase) {
  std::filesystem::create_directories(folder_);
  for (const std::string& content :
       {std::string("x"), std::string("name: methods\n"), std::string("SQLite format 3\0", 16),
        std::string(100'000, 'x'), std::string(1024, '\0')}) {
    std::ofstream(file(), std::ios::binary) << content;
    expect_refused(file().string() +
                   ": is not a results database; name another folder with --out, or move the file "
                   "away");
  }
}

TEST_F(Store, RefusesADamagedDatabase) {
  {
    ResultStore store(folder_);
    for (int i = 0; i < 100; ++i) store.write(cell(std::to_string(i)));
  }
  std::filesystem::resize_file(file(), 5000);
  const std::string error = config_error_of([&] {
    ResultStore store(folder_);
    store.write(cell("k"));
  });
  EXPECT_TRUE(error.starts_with(file().string() + ": is a damaged results")) << error;
}

TEST_F(Store, RefusesAFileInTheWayOfTheFolder) {
  std::ofstream(folder_) << "a file";
  expect_refused(folder_.string() +
                 ": cannot be used as the output folder (Not a directory); name another one with "
                 "--out");
  const std::filesystem::path below = folder_ / "below";
  EXPECT_EQ(config_error_of([&] { const ResultStore store(below); }),
            below.string() +
                ": cannot be used as the output folder (Not a directory); name another one with "
                "--out");
}

TEST_F(Store, RefusesAFolderInTheWayOfTheFile) {
  std::filesystem::create_directories(file());
  expect_refused(file().string() +
                 ": cannot be opened for writing; name another folder with --out, one that can be "
                 "written");
}

TEST_F(Store, RefusesAFolderThatCannotBeWritten) {
  // /proc takes no new files, not even from root.
  EXPECT_EQ(config_error_of([] { const ResultStore store("/proc/self"); }),
            "/proc/self/results.sqlite: cannot be opened for writing; name another folder with "
            "--out, one that can be written");
}

TEST_F(Store, RefusesAReadOnlyFile) {
  { const ResultStore store(folder_); }
  // Readable by anyone, in a folder that anyone may write to: the file alone refuses.
  std::filesystem::permissions(folder_, std::filesystem::perms::all);
  std::filesystem::permissions(file(), static_cast<std::filesystem::perms>(0444));
  const WithoutRootRights without_root_rights;
  expect_refused(file().string() +
                 ": is read-only; make it and its folder writable, or name another folder with "
                 "--out");
}

}  // namespace
}  // namespace maskerade
