#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>

namespace maskerade {

// Median times in milliseconds, by case and number of threads.
using MedianTimes = std::map<std::pair<std::string, int>, double>;

// What the published code takes today, by case, number of threads and how ("dense", "old"), in
// milliseconds.
using TimesToday = std::map<std::pair<std::pair<std::string, int>, std::string>, double>;

// The times of the published code in a file that compare_pytorch.py --hub wrote. Throws DataError
// when it is not such a file.
TimesToday read_times_today(const std::filesystem::path& file);

// The published tables (published_tables.json) that hold a case of `ours`, as text: published, the
// same code today where it is known, ours, a note; below each table what stands of it. "" for none.
std::string format_published_tables(const MedianTimes& ours, const TimesToday& today);

// How time grows with key_len in the series of the table `scaling`: the exponent of the power law
// fitted to it, one line for each series and number of threads of at least three lengths.
std::string format_scaling(const MedianTimes& ours);

}  // namespace maskerade
