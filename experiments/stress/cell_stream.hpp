#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "experiments/stress/cell_checker.hpp"
#include "experiments/stress/draw_cell.hpp"

namespace maskerade::stress {

// Checks cells of consecutive numbers on several threads, each with a checker of its own, and gives
// what was found in the order of the numbers.
class CellStream {
 public:
  struct Work {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    int workers = 1;
    std::function<std::unique_ptr<CellChecker>()> make_checker;    // [any thread]
    std::function<CheckedCell(std::int64_t, CellChecker&)> check;  // [any thread]
    std::function<bool()> is_over;  // whether no further cell begins [any thread]
  };
  explicit CellStream(Work work);
  // Waits for the cells that have begun.
  ~CellStream();
  CellStream(const CellStream&) = delete;
  CellStream& operator=(const CellStream&) = delete;

  // The next cell; waits for it. nullopt: there is none, or is_over() said so before it began.
  // Throws what making its checker or checking it threw.
  std::optional<CheckedCell> next();

 private:
  void run();

  Work work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t begun_;  // the first number that has not begun
  std::int64_t given_;  // the first number that next() has not given
  std::map<std::int64_t, CheckedCell> done_;
  std::exception_ptr failure_;
  bool is_stopping_ = false;
  int running_ = 0;  // threads
  std::vector<std::thread> threads_;
};

}  // namespace maskerade::stress
