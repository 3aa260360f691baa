#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/benchmarks/benchmark_case.hpp"
#include "experiments/measure/machine_peaks.hpp"

namespace maskerade {

// Owns the cases and their works. A work is created, run and checked when it is first asked for;
// one that fails its check is never handed out, so that it cannot be timed.
class WorkPool {
 public:
  // maskers: those that cases may use.
  WorkPool(Catalog maskers, std::vector<BenchmarkCase> cases);

  const std::vector<BenchmarkCase>& cases() const noexcept { return cases_; }
  // The case with this name. Throws Error when there is none.
  const BenchmarkCase& find(std::string_view name) const;

  // The checked work of a case on a number of threads; the pool owns it until forget_works().
  // Throws Error when it cannot be created or fails its check, again for every call.
  BenchmarkWork& work(const BenchmarkCase& benchmark, int threads);
  // The machine's peaks with a number of threads; measured when they are first asked for.
  const MachinePeaks& peaks(int threads);
  // Frees all works and their memory.
  void forget_works() { works_.clear(); }

 private:
  struct WorkOrFailure {
    std::unique_ptr<BenchmarkWork> work;
    std::string failure;  // why the work cannot be used; "" if it can
  };
  const Threads& workers(int threads);

  Catalog maskers_;
  std::vector<BenchmarkCase> cases_;
  ProblemStore problems_;
  std::map<int, Threads> threads_;
  std::map<int, MachinePeaks> peaks_;
  std::map<CaseRun, WorkOrFailure> works_;
};

// Takes one sample of a work, in milliseconds. It runs the work for 20 ms without counting, and
// returns the mean of as many further runs as last one millisecond, at least one. A work whose
// first run lasts seven times as long as that warm-up is not run again; the first run is the
// sample.
double sample_ms(BenchmarkWork& work);

}  // namespace maskerade
