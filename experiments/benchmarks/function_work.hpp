#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "experiments/benchmarks/benchmark_case.hpp"

namespace maskerade {

// The parts of a BenchmarkWork as functions, over state that they share.
struct WorkParts {
  std::function<void()> set_up;  // may be empty
  std::function<void()> run;
  std::function<void()> check;
  std::function<WorkCounts()> counts;  // may be empty
};

// A BenchmarkWork that calls these functions.
class FunctionWork final : public BenchmarkWork {
 public:
  explicit FunctionWork(WorkParts parts) : parts_(std::move(parts)) {}

  void set_up() override {
    if (parts_.set_up) parts_.set_up();
  }
  void run() override { parts_.run(); }
  void check() const override { parts_.check(); }
  WorkCounts counts() const override { return parts_.counts ? parts_.counts() : WorkCounts{}; }

 private:
  WorkParts parts_;
};

inline std::unique_ptr<BenchmarkWork> function_work(WorkParts parts) {
  return std::make_unique<FunctionWork>(std::move(parts));
}

}  // namespace maskerade
