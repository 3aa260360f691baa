#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "experiments/run/runner.hpp"

namespace maskerade {

// The built-in maskers and those that break rules.
inline const Catalog& test_catalog() {
  static const Catalog kCatalog =
      load_catalog(MASKERADE_TEST_PROGRAM_FOLDER, "",
                   {std::filesystem::path(MASKERADE_TEST_PLUGINS) / "unreliable.so",
                    std::filesystem::path(MASKERADE_TEST_PLUGINS) / "count_from_file.so",
                    std::filesystem::path(MASKERADE_STUBBORN_INDEX)});
  return kCatalog;
}

// Reads an experiment from a text, by way of a file of its own.
inline Experiment experiment_of(const std::string& yaml) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) /
      (std::string(test->test_suite_name()) + test->name() + ".yaml");
  std::ofstream(file) << yaml;
  Experiment experiment = read_experiment(file, {}, test_catalog());
  std::filesystem::remove(file);
  return experiment;
}

struct Ran {
  RunOutcome outcome;
  std::vector<CellResult> results;

  const CellResult& find(const std::string& pipeline, const std::string& device = "cpu") const {
    for (const CellResult& result : results) {
      if (result.pipeline == pipeline && result.device == device) return result;
    }
    throw Error("no result of " + pipeline);
  }
};

inline Ran run_all(const Experiment& experiment, RunOptions options = {.threads = Threads(2)}) {
  Ran ran;
  ran.outcome = run_experiment(
      experiment, options,
      {.on_begin = {},
       .on_finish = [&](const Job&, const CellResult& result) { ran.results.push_back(result); },
       .is_stopped = {}});
  return ran;
}

}  // namespace maskerade
