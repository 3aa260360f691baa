#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/run/runner.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/config/lookup_for_test.hpp"

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

// What tells the rows of one pipeline apart. What is absent may be anything.
struct RowFilter {
  std::optional<std::string> workload = {};  // label
  std::optional<std::string> device = {};
  std::optional<std::string> kernel = {};  // as asked for
  std::optional<std::uint64_t> seed = {};  // of the mask
};

// "decode topk on cuda by rows, mask seed 5": what a test calls a row by, and a failure prints.
inline std::string name_of_row(const CellResult& row) {
  return row.workload + " " + row.pipeline + " on " + row.device + " by " + row.kernel +
         (row.mask_seed ? ", mask seed " + std::to_string(*row.mask_seed) : "");
}

// How a run went, and its rows in the order in which they were finished.
struct FinishedRun {
  RunOutcome outcome;
  std::vector<CellResult> results;

  // The row of a pipeline, by its label, that the filter lets through. Throws Error, which fails
  // the test, unless there is exactly one.
  const CellResult& row(std::string_view pipeline, RowFilter filter = {}) const {
    return only_item(results, "row of " + std::string(pipeline) + " that the test asks for",
                     name_of_row, [&](const CellResult& row) {
                       return row.pipeline == pipeline &&
                              filter.workload.value_or(row.workload) == row.workload &&
                              filter.device.value_or(row.device) == row.device &&
                              filter.kernel.value_or(row.kernel) == row.kernel &&
                              (!filter.seed || row.mask_seed == filter.seed);
                     });
  }
  // The row of the same workload, pipeline, kernel and mask seed as that of another run, on any
  // device. Throws Error unless there is exactly one.
  const CellResult& counterpart(const CellResult& other) const {
    return only_item(results, "counterpart of " + name_of_row(other), name_of_row,
                     [&](const CellResult& row) {
                       return row.workload == other.workload && row.pipeline == other.pipeline &&
                              row.kernel == other.kernel && row.mask_seed == other.mask_seed;
                     });
  }
  // "WORKLOAD PIPELINE" of each row, in their order.
  std::vector<std::string> cells() const {
    std::vector<std::string> names;
    for (const CellResult& row : results) names.push_back(row.workload + " " + row.pipeline);
    return names;
  }
};

inline FinishedRun run_all(const Experiment& experiment,
                           RunOptions options = {.threads = Threads(2)}) {
  FinishedRun record;
  record.outcome = run_experiment(
      experiment, options,
      {.on_finish = [&](const Job&, CellResult& result) { record.results.push_back(result); }});
  return record;
}

using Names = std::vector<std::string>;

// The names of a list of pairs of a name and something, in their order.
template <typename Value>
Names names_of(const std::vector<std::pair<std::string, Value>>& pairs) {
  Names names;
  for (const auto& [name, value] : pairs) names.push_back(name);
  return names;
}

// What stands beside a name in such a list. Throws Error unless the name is there exactly once.
template <typename Value>
const Value& value_of(const std::vector<std::pair<std::string, Value>>& pairs,
                      std::string_view name) {
  return only_item(
             pairs, "name \"" + std::string(name) + "\"",
             [](const auto& pair) { return pair.first; },
             [&](const auto& pair) { return pair.first == name; })
      .second;
}

// The resolved value of a masker's parameter. Throws Error where the row has no such masker, or it
// no such parameter.
inline const std::string& parameter_of(const CellResult& row,
                                       std::string_view masker,
                                       std::string_view parameter) {
  return value_of(value_of(row.params, masker), parameter);
}

// What was measured of a head. Throws Error unless the row has exactly one of these numbers.
inline const HeadResult& head_of(const CellResult& row, std::int64_t batch, std::int64_t head) {
  const auto name = [](std::int64_t batch_entry, std::int64_t query_head) {
    return "batch entry " + std::to_string(batch_entry) + ", head " + std::to_string(query_head);
  };
  return only_item(
      row.heads, name(batch, head) + " of " + name_of_row(row),
      [&](const HeadResult& result) { return name(result.batch, result.head); },
      [&](const HeadResult& result) { return result.batch == batch && result.head == head; });
}

// The batch entry and the number of each head, in their order.
inline std::vector<std::pair<std::int64_t, std::int64_t>> head_numbers(const CellResult& row) {
  std::vector<std::pair<std::int64_t, std::int64_t>> numbers;
  for (const HeadResult& result : row.heads) numbers.emplace_back(result.batch, result.head);
  return numbers;
}

// The step of a decode trace with a number from 0. Throws Error unless there is exactly one.
inline const StepResult& step_of(const CellResult& row, std::int64_t step) {
  return only_item(
      row.steps, "step " + std::to_string(step) + " of " + name_of_row(row),
      [](const StepResult& result) { return "step " + std::to_string(result.step); },
      [&](const StepResult& result) { return result.step == step; });
}
// The first and the last step in the row's order. Throw Error where it has none.
inline const StepResult& first_step(const CellResult& row) {
  if (row.steps.empty()) throw Error(name_of_row(row) + " has no steps");
  return row.steps.front();
}
inline const StepResult& last_step(const CellResult& row) {
  if (row.steps.empty()) throw Error(name_of_row(row) + " has no steps");
  return row.steps.back();
}

}  // namespace maskerade
