#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/benchmarks/benchmark_case.hpp"
#include "experiments/measure/machine_peaks.hpp"

namespace maskerade {

// The cases, and those of them that are in use: made and checked when they are first asked for.
// What does not pass its check is never timed.
class WorkPool {
 public:
  WorkPool(Catalog maskers, std::vector<BenchmarkCase> cases);

  const std::vector<BenchmarkCase>& cases() const noexcept { return cases_; }
  // Throws Error when there is no such case.
  const BenchmarkCase& find(std::string_view name) const;

  // A case on a number of threads, checked. Throws Error when it cannot be made or fails its check,
  // every time it is asked for.
  BenchmarkWork& work(const BenchmarkCase& benchmark, int threads);
  // What this machine gives that many threads; measured when it is first asked for.
  const MachinePeaks& peaks(int threads);
  // Gives the memory of all works back.
  void forget_works() { works_.clear(); }

 private:
  // A work or why there is none.
  struct Made {
    std::unique_ptr<BenchmarkWork> work;
    std::string failure;
  };
  const Threads& workers(int threads);

  Catalog maskers_;
  std::vector<BenchmarkCase> cases_;
  ProblemStore problems_;
  std::map<int, Threads> threads_;
  std::map<int, MachinePeaks> peaks_;
  std::map<std::pair<std::string, int>, Made> works_;
};

// One sample of a work: the mean time of as many runs as make up a millisecond, at least one, after
// untimed runs of 20 ms; or its first run, where that takes several times as long.
double sample_ms(BenchmarkWork& work);

}  // namespace maskerade
