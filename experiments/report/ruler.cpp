#include "experiments/report/ruler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/measure/statistics.hpp"
#include "experiments/report/number_text.hpp"

namespace maskerade {
namespace {

// Numbers and ranges of them that are told of many cells.
constexpr int kMostPieces = 8;

std::string drift_text(const std::vector<const CellResult*>& timed) {
  std::vector<double> dense_ms;
  for (const CellResult* result : timed) dense_ms.push_back(result->times->dense.median);
  if (dense_ms.empty()) return "";
  const auto [least, greatest] = std::minmax_element(dense_ms.begin(), dense_ms.end());
  if (!(*greatest > (1 + kMostDenseDrift) * *least)) return "";
  const double middle = summarize(dense_ms).median;
  std::vector<std::int64_t> cells;
  for (const CellResult* result : timed) {
    const double ratio = result->times->dense.median / middle;
    if (std::abs(std::log(ratio)) > std::log(1 + kMostDenseDrift) / 2) {
      cells.push_back(result->cell);
    }
  }
  return fmt::format(
      "the dense reference drifts between {} and {} ms ({}): compare cells by "
      "speedup, not by their times",
      milliseconds_text(*least), milliseconds_text(*greatest), cell_numbers_text(cells));
}

std::string peaks_text(const std::vector<const CellResult*>& timed) {
  std::vector<std::int64_t> cells;
  for (const CellResult* result : timed) {
    if (result->contradicts_peaks()) cells.push_back(result->cell);
  }
  if (cells.empty()) return "";
  return fmt::format("attending is faster than the measured peaks allow ({}): they are too low",
                     cell_numbers_text(cells));
}

std::string load_text(const std::vector<const CellResult*>& timed) {
  std::vector<std::int64_t> cells;
  double most = 0;
  for (const CellResult* result : timed) {
    const double load = result->load.other.value_or(0);
    if (load <= kMostOtherLoad) continue;
    cells.push_back(result->cell);
    most = std::max(most, load);
  }
  if (cells.empty()) return "";
  return fmt::format("other processes kept up to {:.1f} processors busy ({})", most,
                     cell_numbers_text(cells));
}

}  // namespace

std::string note_on_ruler(std::span<const CellResult> results) {
  std::vector<std::string> devices;
  for (const CellResult& result : results) {
    if (std::find(devices.begin(), devices.end(), result.device) == devices.end()) {
      devices.push_back(result.device);
    }
  }
  std::string note;
  for (const std::string& device : devices) {
    std::vector<const CellResult*> timed;
    for (const CellResult& result : results) {
      if (result.device == device && result.times) timed.push_back(&result);
    }
    for (const std::string& text : {drift_text(timed), peaks_text(timed), load_text(timed)}) {
      if (text.empty()) continue;
      note += (note.empty() ? "doubtful times: " : "; ");
      note += device == "cpu" ? text : "on " + device + " " + text;
    }
  }
  return note;
}

std::string cell_numbers_text(std::vector<std::int64_t> numbers) {
  std::erase(numbers, CellResult::kNoNumber);
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::string text;
  int pieces = 0;
  for (std::size_t i = 0; i < numbers.size();) {
    if (++pieces > kMostPieces) {
      text += fmt::format(", ...: {} in all", numbers.size());
      break;
    }
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    // Two neighbours are no range.
    if (last == i + 1) last = i;
    text += (text.empty() ? "" : ", ") + std::to_string(numbers[i]);
    if (last > i) text += "-" + std::to_string(numbers[last]);
    i = last + 1;
  }
  if (text.empty()) return "cells without a number";
  return (numbers.size() == 1 ? "cell " : "cells ") + text;
}

}  // namespace maskerade
