#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

#include "experiments/results/cell_result.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {

// Tells on a stream which cell runs: on a terminal one line that is rewritten, with the time that
// is probably left; else a plain line for each finished cell.
class Progress {
 public:
  Progress(std::FILE* stream, bool is_terminal, std::size_t total)
      : stream_(stream), is_terminal_(is_terminal), total_(total) {}

  void begin(const CellResult& begun);
  void finish(const CellResult& finished);
  // For a cell that was begun and then found among the results of an earlier run.
  void keep(const CellResult& kept);
  // Removes the line, for other output to take its place.
  void clear();

 private:
  std::FILE* stream_;
  bool is_terminal_;
  std::size_t total_;
  std::size_t done_ = 0;  // finished and kept
  std::size_t finished_ = 0;
  double finished_ms_ = 0;  // what the finished cells took
  Stopwatch stopwatch_;     // of the cell in flight
};

// "[3/12] prefill: topk budget=5%: ok, total 1.23 ms, 3.40x dense"
std::string progress_line(std::size_t done, std::size_t total, const CellResult& result);

// A time that is left, in whole units: "8 s", "3 min", "2.5 h".
std::string time_left_text(double milliseconds);

}  // namespace maskerade
