#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

#include "experiments/results/cell_result.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {

// Tells on a stream which cell runs, as far as the stream takes it. On a terminal it is one line
// that is rewritten, with an estimate of the time left; anywhere else a plain line for each cell
// that ended.
class Progress {
 public:
  Progress(std::FILE* stream, bool is_terminal, std::size_t total)
      : stream_(stream), is_terminal_(is_terminal), total_(total) {}

  // A cell begins: its names are known, and nothing else.
  void begin(const CellResult& begun);
  // The cell that began has been run.
  void finish(const CellResult& finished);
  // The cell that began was found among the results of an earlier run.
  void keep(const CellResult& kept);
  // The cell that began is left to another process.
  void skip() { ++done_; }
  // Removes a terminal's line, so that other output can take its place.
  void clear();

 private:
  std::FILE* stream_;
  bool is_terminal_;
  std::size_t total_;         // cells of the run
  std::size_t done_ = 0;      // cells that were run or kept
  std::size_t finished_ = 0;  // cells that were run
  double finished_ms_ = 0;    // time of the cells that were run
  Stopwatch stopwatch_;       // of the cell in flight
};

// "[3/12] prefill: topk budget=5%: ok, total 1.23 ms, 3.40x dense"; outcome_text() says how it
// ended
std::string progress_line(std::size_t done, std::size_t total, const CellResult& result);

// A time as a rough text: "8 s", "3 min", "2.5 h".
std::string time_left_text(double milliseconds);

}  // namespace maskerade
