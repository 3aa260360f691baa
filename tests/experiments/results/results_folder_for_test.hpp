#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "framework/base/error.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade {

// A folder of its own for a test, with the results database in it as SQL sees it.
class ResultsFolder : public testing::Test {
 protected:
  ResultsFolder() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) /
              (std::string("maskerade_results_") + test->test_suite_name() + "_" + test->name() +
               "_" + std::to_string(getpid()));
    remove_folder();
  }
  ~ResultsFolder() override { remove_folder(); }

  std::filesystem::path file() const { return folder_ / "results.sqlite"; }
  std::filesystem::path side_file(const std::string& suffix) const {
    return file().string() + suffix;
  }
  // What a statement's first column gives, a row a line.
  std::string query(const std::string& sql) const {
    sqlite3* database = nullptr;
    std::string text;
    EXPECT_EQ(sqlite3_open(file().c_str(), &database), SQLITE_OK);
    const auto add = [](void* to, int, char** values, char**) {
      *static_cast<std::string*>(to) +=
          std::string(values[0] == nullptr ? "NULL" : values[0]) + "\n";
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), add, &text, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
    return text;
  }
  std::string bytes() const {
    std::ostringstream text;
    text << std::ifstream(file(), std::ios::binary).rdbuf();
    return text.str();
  }
  static CellResult cell(const std::string& key) {
    CellResult result = example_result();
    result.key = key;
    return result;
  }

  std::filesystem::path folder_;

 private:
  void remove_folder() const {
    std::error_code ignored;
    std::filesystem::permissions(folder_, std::filesystem::perms::all, ignored);
    std::filesystem::remove_all(folder_, ignored);
  }
};

// The text of the ConfigError that an action throws; "nothing was thrown" where it throws none.
template <typename Action>
std::string config_error_of(Action&& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

// Root may write read-only files: gives its rights up while it lives.
class WithoutRootRights {
 public:
  WithoutRootRights() {
    if (was_root_) {
      EXPECT_EQ(setresuid(kNobody, kNobody, 0), 0);
    }
  }
  ~WithoutRootRights() {
    if (was_root_) {
      EXPECT_EQ(setresuid(0, 0, 0), 0);
    }
  }
  WithoutRootRights(const WithoutRootRights&) = delete;
  WithoutRootRights& operator=(const WithoutRootRights&) = delete;

 private:
  static constexpr uid_t kNobody = 65534;
  const bool was_root_ = geteuid() == 0;
};

}  // namespace maskerade
