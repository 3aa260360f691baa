#pragma once

#include <compare>
#include <filesystem>
#include <map>
#include <string>

#include "experiments/benchmarks/benchmark_case.hpp"

namespace maskerade {

// The median times of our cases, in milliseconds.
using MedianTimes = std::map<CaseRun, double>;

// The published code that does the work of one of our cases: in one of its modes ("dense", "old").
struct PublishedRun {
  CaseRun run;
  std::string mode;

  friend auto operator<=>(const PublishedRun&, const PublishedRun&) = default;
};
// The times that the published code takes on a machine of today, in milliseconds.
using TimesToday = std::map<PublishedRun, double>;

// Reads the times of the published code from a file that compare_pytorch.py --hub wrote with
// --json. Throws DataError when the file is not one.
TimesToday read_times_today(const std::filesystem::path& file);

// Returns the published tables (published_tables.json) as text, without rows whose case is not in
// `ours`; a table without rows is left out. A table begins with its name, a sentence that says what
// is timed, and where it was published. A row has the published time, the time of the same code
// today where it is known, our time and a note. Below each table stands what our times confirm of
// it and what they do not.
std::string format_published_tables(const MedianTimes& ours, const TimesToday& today);

// Returns as text how time grows with key_len in the cases of the table `scaling`: for each series
// and number of threads with at least three lengths, the exponent of a power law fitted to the
// times. "": there are none.
std::string format_scaling(const MedianTimes& ours);

}  // namespace maskerade
