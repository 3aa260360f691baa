#include "experiments/results/result_reader.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "experiments/results/columns.hpp"
#include "experiments/results/result_store.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/results/results_folder_for_test.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

class Reader : public ResultsFolder {
 protected:
  // Expects that nothing in the folder can be read, with this text.
  void expect_refused(const std::string& text) const {
    EXPECT_EQ(config_error_of([&] { ResultReader(folder_).cells(); }), text);
  }
  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    for (const CellResult& cell : ResultReader(folder_).cells()) keys.push_back(cell.key);
    return keys;
  }
  std::vector<std::string> keys_where(const std::string& column, const std::string& value) const {
    std::vector<std::string> keys;
    for (const CellResult& cell : ResultReader(folder_).cells({{{column, value}}})) {
      keys.push_back(cell.key);
    }
    return keys;
  }
  // Leaves a cell in the folder as a run that is killed does.
  void write_and_be_killed(const std::string& key) const {
    const pid_t child = fork();
    if (child == 0) {
      ResultStore store(folder_);
      store.write(cell(key));
      kill(getpid(), SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
  }
};

// A connection of another program that writes.
class Writer {
 public:
  explicit Writer(const fs::path& file) {
    EXPECT_EQ(sqlite3_open(file.c_str(), &database_), SQLITE_OK);
  }
  ~Writer() { sqlite3_close(database_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void run(const std::string& sql) {
    EXPECT_EQ(sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database_);
  }

 private:
  sqlite3* database_ = nullptr;
};

// Whether a value is what was written. SQLite has no NaN: it comes back where its neighbours say
// that its part was measured, and is absent elsewhere.
bool is_same(const ColumnValue& read, const ColumnValue& written) {
  const double* number = std::get_if<double>(&written);
  if (number == nullptr) return read == written;
  const double* back = std::get_if<double>(&read);
  if (std::isnan(*number)) return back == nullptr ? read == ColumnValue() : std::isnan(*back);
  return back != nullptr && *back == *number;
}

template <typename Record>
void expect_same(const std::vector<Column<Record>>& columns,
                 const Record& read,
                 const Record& written) {
  for (const Column<Record>& column : columns) {
    EXPECT_TRUE(is_same(column.get(read), column.get(written)))
        << column.name << ": " << text_of(column.get(read)) << " for "
        << text_of(column.get(written));
  }
}

void expect_same_cell(const CellResult& read, const CellResult& written) {
  expect_same(cell_columns(), read, written);
  ASSERT_EQ(read.heads.size(), written.heads.size());
  for (std::size_t i = 0; i < read.heads.size(); ++i) {
    expect_same(head_columns(), HeadRow{"", 0, read.heads[i]}, HeadRow{"", 0, written.heads[i]});
  }
  ASSERT_EQ(read.steps.size(), written.steps.size());
  for (std::size_t i = 0; i < read.steps.size(); ++i) {
    expect_same(step_columns(), StepRow{"", read.steps[i]}, StepRow{"", written.steps[i]});
  }
  ASSERT_EQ(read.samples.size(), written.samples.size());
  for (std::size_t i = 0; i < read.samples.size(); ++i) {
    expect_same(series_columns(), SeriesRow{"", read.samples[i]},
                SeriesRow{"", written.samples[i]});
  }
}

TEST_F(Reader, GivesCellsWithTheirHeadsStepsAndSamples) {
  CellResult trace = full_trace();
  trace.key = "trace";
  CellResult full = full_result();
  full.key = "full";
  CellResult empty;
  empty.key = "empty";
  {
    ResultStore store(folder_);
    for (const CellResult* written : {&full, &trace, &empty}) store.write(*written);
  }
  const ResultReader reader(folder_);
  EXPECT_EQ(reader.cell_count(), 3);
  EXPECT_EQ(reader.files(), std::vector<fs::path>{file()});
  for (const CellResult* written : {&full, &trace, &empty}) {
    SCOPED_TRACE(written->key);
    const std::optional<CellResult> read = reader.find(written->key);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->key, written->key);
    expect_same_cell(*read, *written);
  }
  EXPECT_EQ(reader.find("full")->heads.front().route, "dense");
  EXPECT_EQ(reader.find("full")->samples.back().times_ms, (std::vector<double>{25, 0.1, 1e-9}));
  EXPECT_EQ(reader.find("trace")->steps.front().key_len, 101);
  EXPECT_FALSE(reader.find("another").has_value());
  EXPECT_EQ(ResultReader(file()).cell_count(), 3) << "by the file";
}

// The values that a column may have at its worst, of every type.
std::vector<ColumnValue> worst_values() {
  using Double = std::numeric_limits<double>;
  using Integer = std::numeric_limits<std::int64_t>;
  std::vector<ColumnValue> values = {false,
                                     true,
                                     Integer::min(),
                                     Integer::max(),
                                     std::uint64_t{1} << 63,
                                     std::numeric_limits<std::uint64_t>::max(),
                                     0.0,
                                     0.1,
                                     Double::denorm_min(),
                                     Double::max(),
                                     Double::infinity(),
                                     -Double::infinity(),
                                     Double::quiet_NaN()};
  for (const std::string text : {"", "a \"quoted\", 'long'\r\ntext; --\n", "caf\xe9", "κλειδί",
                                 R"({"a \"b\"\n": "1", "c": "' 2"})", "NULL", "12"}) {
    values.emplace_back(text);
  }
  values.emplace_back(std::string("a\0b", 3));
  return values;
}

// Gives every column of a record that can hold it the value.
template <typename Record>
void set_all(const std::vector<Column<Record>>& columns, const ColumnValue& value, Record& record) {
  for (const Column<Record>& column : columns) {
    if (column.role != ColumnRole::kValue) continue;
    try {
      column.set(record, value);
    } catch (const Error&) {  // of another type, or none of its names
    }
  }
}

TEST_F(Reader, GivesEveryValueOfEveryColumnBack) {
  ResultStore store(folder_);
  const ResultReader reader(folder_);
  for (const ColumnValue& value : worst_values()) {
    SCOPED_TRACE(text_of(value));
    for (CellResult written : {full_result(), full_trace()}) {
      written.key = "k";
      set_all(cell_columns(), value, written);
      HeadRow head{"k", 0, written.heads.front()};
      set_all(head_columns(), value, head);
      written.heads.front() = head.head;
      StepRow step{"k", measured_step()};
      set_all(step_columns(), value, step);
      written.steps = {step.step};
      for (StageSeries& series : written.samples) {
        SeriesRow row{"k", series};
        set_all(series_columns(), value, row);
        series = row.series;
      }
      store.write(written);
      expect_same_cell(reader.find("k").value(), written);
    }
  }
}

TEST_F(Reader, OrdersCellsByTheirNumbersAndThoseWithoutAtTheEnd) {
  ResultStore store(folder_);
  for (const std::int64_t number : {7, 11, 2}) {
    CellResult numbered = cell("cell " + std::to_string(number));
    numbered.cell = number;
    store.write(numbered);
  }
  for (const std::string key : {"later", "earlier"}) {
    CellResult without = cell(key);
    without.cell = CellResult::kNoNumber;
    store.write(without);
  }
  EXPECT_EQ(keys(), (std::vector<std::string>{"cell 2", "cell 7", "cell 11", "later", "earlier"}));
  EXPECT_EQ(ResultReader(folder_).find("later")->cell, CellResult::kNoNumber);
}

TEST_F(Reader, GivesTheCellsOfWhichConditionsHold) {
  ResultStore store(folder_);
  CellResult failed = cell("failed");
  failed.status = CellStatus::kFailed;
  failed.counts.reset();
  failed.mask_seed.reset();
  store.write(failed);
  CellResult decode = cell("decode");
  decode.workload = "decode";
  decode.facts->shape.query_len = 1;
  decode.counts->density = 0.25;
  store.write(decode);
  using Keys = std::vector<std::string>;
  EXPECT_EQ(keys_where("status", "failed"), Keys{"failed"});
  EXPECT_EQ(keys_where("workload", "decode"), Keys{"decode"});
  EXPECT_EQ(keys_where("pipeline", "topk budget=5%"), (Keys{"failed", "decode"}));
  EXPECT_EQ(keys_where("query_len", "1"), Keys{"decode"});
  EXPECT_EQ(keys_where("density", "2.5e-1"), Keys{"decode"}) << "compared as a number";
  EXPECT_EQ(keys_where("mask_seed", ""), Keys{"failed"}) << "what was not measured";
  EXPECT_EQ(keys_where("causal", "true"), (Keys{"failed", "decode"}));
  EXPECT_EQ(keys_where("key", "decode"), Keys{"decode"});
  EXPECT_TRUE(keys_where("status", "fail").empty());
  const ResultReader reader(folder_);
  EXPECT_TRUE(reader.cells({{{"status", "ok"}, {"workload", "prefill"}}}).empty());
  EXPECT_EQ(reader.cells({{{"status", "ok"}, {"workload", "decode"}}}).size(), 1U);
  EXPECT_EQ(config_error_of([&] {
              reader.cells({{{"stauts", "ok"}}});
            }),
            "results have no column \"stauts\"; did you mean \"status\"?");
  EXPECT_EQ(config_error_of([&] {
              reader.cells({{{"colour", "red"}}});
            }),
            "results have no column \"colour\"; maskerade results --describe-columns lists them");
}

TEST_F(Reader, SeesWhatWasCommittedWhileAnotherWrites) {
  ResultStore store(folder_);
  store.write(cell("first"));
  const ResultReader reader(folder_);
  Writer writer(file());
  writer.run("BEGIN IMMEDIATE");
  writer.run("UPDATE cells SET key = 'renamed', reason = 'not committed'");
  EXPECT_EQ(reader.cells().front().reason, "");
  EXPECT_EQ(ResultReader(folder_).cells().front().key, "first") << "opened meanwhile";
  writer.run("COMMIT");
  EXPECT_EQ(reader.cells().front().reason, "not committed");
  store.write(cell("second"));
  EXPECT_EQ(reader.cell_count(), 2);
}

TEST_F(Reader, GivesOneStateHoweverManyAreWrittenMeanwhile) {
  {
    ResultStore store(folder_);
    for (const char* key : {"a", "b", "c", "d"}) {
      CellResult written = cell(key);
      written.reason = "0";
      written.heads = {{.head = 0, .density = 0}, {.head = 1, .density = 0}};
      store.write(written);
    }
  }
  const ResultReader reader(folder_);
  std::atomic<bool> is_over = false;
  std::thread writing([&] {
    Writer writer(file());
    writer.run("PRAGMA synchronous = OFF");
    for (int state = 1; !is_over; ++state) {
      const std::string text = std::to_string(state);
      writer.run("BEGIN IMMEDIATE; UPDATE cells SET reason = " + text +
                 "; UPDATE heads SET density = " + text + "; COMMIT");
    }
  });
  for (int i = 0; i < 200; ++i) {
    std::set<double> states;
    for (const CellResult& read : reader.cells()) {
      states.insert(std::stod(read.reason));
      for (const HeadResult& head : read.heads) states.insert(head.density);
    }
    EXPECT_EQ(states.size(), 1U);
  }
  is_over = true;
  writing.join();
}

TEST_F(Reader, ChangesNothing) {
  {
    ResultStore store(folder_);
    store.write(cell("k"));
  }
  const std::string before = bytes();
  {
    const ResultReader reader(folder_);
    EXPECT_EQ(reader.cells().size(), 1U);
  }
  EXPECT_TRUE(bytes() == before);
  ResultStore store(folder_);
  store.write(cell("another"));
  EXPECT_EQ(store.cell_count(), 2) << "and a run may go on";
}

TEST_F(Reader, ReadsWhatAKilledRunLeft) {
  write_and_be_killed("k");
  EXPECT_GT(fs::file_size(side_file("-wal")), 0U);
  EXPECT_EQ(keys(), std::vector<std::string>{"k"});
  EXPECT_EQ(keys(), std::vector<std::string>{"k"}) << "again";
}

TEST_F(Reader, ReadsInAFolderThatCannotBeWritten) {
  {
    ResultStore store(folder_);
    store.write(cell("k"));
  }
  ASSERT_FALSE(fs::exists(side_file("-wal")));
  fs::permissions(folder_, static_cast<fs::perms>(0555));
  const WithoutRootRights without_root_rights;
  EXPECT_EQ(keys(), std::vector<std::string>{"k"});
  EXPECT_FALSE(fs::exists(side_file("-wal")));
}

TEST_F(Reader, ReadsWhatAKilledRunLeftInAFolderThatCannotBeWritten) {
  write_and_be_killed("k");
  for (const char* suffix : {"", "-wal", "-shm"}) {
    fs::permissions(side_file(suffix), static_cast<fs::perms>(0444));
  }
  fs::permissions(folder_, static_cast<fs::perms>(0555));
  const WithoutRootRights without_root_rights;
  EXPECT_EQ(keys(), std::vector<std::string>{"k"});
}

TEST_F(Reader, SaysWhatToDoWhereAWalCannotBeRead) {
  write_and_be_killed("k");
  fs::remove(side_file("-shm"));
  fs::permissions(folder_, static_cast<fs::perms>(0555));
  const WithoutRootRights without_root_rights;
  expect_refused(file().string() +
                 ": cannot be opened for reading; make it readable, or, where its folder cannot be "
                 "written, copy it with its -wal file to one that can");
}

TEST_F(Reader, NoticesThatAnImmutableFileWasWritten) {
  {
    ResultStore store(folder_);
    store.write(cell("k"));
  }
  fs::permissions(folder_, static_cast<fs::perms>(0555));
  std::optional<ResultReader> reader;
  {
    const WithoutRootRights without_root_rights;
    reader.emplace(folder_);
  }
  fs::permissions(folder_, fs::perms::all);
  ResultStore store(folder_);
  store.write(cell("another"));
  EXPECT_EQ(config_error_of([&] { reader->cells(); }),
            file().string() + ": was written to while it was read; read it again");
}

TEST_F(Reader, ReadsAFileWhoseNameAUriWouldQuote) {
  const fs::path odd = folder_ / "50% of #1? it's.sqlite";
  {
    ResultStore store(folder_);
    store.write(cell("k"));
  }
  fs::rename(file(), odd);
  EXPECT_EQ(ResultReader(odd).cell_count(), 1);
  fs::permissions(folder_, static_cast<fs::perms>(0555));
  const WithoutRootRights without_root_rights;
  EXPECT_EQ(ResultReader(odd).cell_count(), 1);
}

TEST_F(Reader, SaysThatThereIsNoFile) {
  const std::string advice =
      "is not there; name the folder that a run was given with --out, or its results.sqlite";
  EXPECT_EQ(config_error_of([&] { const ResultReader reader(folder_); }),
            folder_.string() + ": " + advice);
  fs::create_directories(folder_);
  expect_refused(file().string() + ": " + advice);
  EXPECT_FALSE(fs::exists(file()));
}

TEST_F(Reader, SaysThatThereAreNoResultsYet) {
  fs::create_directories(folder_);
  std::ofstream(file()).flush();
  expect_refused(file().string() + ": holds no results yet; wait until its run has begun");
}

TEST_F(Reader, RefusesAFileThatIsNoDatabase) {
  fs::create_directories(folder_);
  for (const std::string& content :
       {std::string("name: methods\n"), std::string("SQLite format 3\0", 16),
        std::string(100'000, 'x')}) {
    std::ofstream(file(), std::ios::binary) << content;
    expect_refused(file().string() +
                   ": is not a results database; name the folder that a run was given with --out, "
                   "or its results.sqlite");
  }
}

TEST_F(Reader, RefusesADatabaseOfAnotherProgram) {
  fs::create_directories(folder_);
  query("CREATE TABLE cells (key TEXT)");
  expect_refused(file().string() +
                 ": is a database of another program; name the folder that a run was given with "
                 "--out, or its results.sqlite");
}

TEST_F(Reader, RefusesAnotherFormat) {
  { const ResultStore store(folder_); }
  query("PRAGMA user_version = 3");
  expect_refused(file().string() +
                 ": holds results in format 3; this version of the program reads and writes format "
                 "6; read it with the version that wrote it, or run the experiment again");
}

TEST_F(Reader, RefusesATableWithoutAColumn) {
  { const ResultStore store(folder_); }
  query("ALTER TABLE cells DROP COLUMN peak_bytes");
  expect_refused(file().string() +
                 ": its table cells has no column peak_bytes, which results in format 6 have; name "
                 "the folder that a run was given with --out, or its results.sqlite");
}

TEST_F(Reader, RefusesATruncatedFile) {
  {
    ResultStore store(folder_);
    for (int i = 0; i < 100; ++i) store.write(cell(std::to_string(i)));
  }
  const std::uintmax_t whole = fs::file_size(file());
  for (const std::uintmax_t size : {std::uintmax_t{5000}, whole / 2, whole - 4096}) {
    fs::resize_file(file(), size);
    const std::string error = config_error_of([&] { ResultReader(folder_).cells(); });
    EXPECT_TRUE(error.starts_with(file().string() + ": is a damaged results database ("))
        << size << " bytes: " << error;
    EXPECT_TRUE(
        error.ends_with("; copy it again from where it was written, or run the experiment again"))
        << error;
  }
}

TEST_F(Reader, NamesTheCellThatCannotBeRead) {
  {
    ResultStore store(folder_);
    store.write(cell("k"));
    CellResult with_head = cell("with head");
    with_head.heads = {{.head = 0}};
    store.write(with_head);
  }
  query("UPDATE heads SET density = 'high'");
  const std::string remedy =
      "); delete it from the table cells, or run the experiment again into another folder";
  expect_refused(file().string() +
                 ": cell with head cannot be read (column density: a value is not of the column's "
                 "type" +
                 remedy);
  query("UPDATE cells SET key_len = 'many' WHERE key = 'k'");
  expect_refused(file().string() +
                 ": cell k cannot be read (column key_len: a value is not of the column's type" +
                 remedy);
}

}  // namespace
}  // namespace maskerade
