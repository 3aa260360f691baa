#include "experiments/benchmarks/work_pool.hpp"

#include <exception>

#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"

namespace maskerade {
namespace {

double timed_run_ms(BenchmarkWork& work) {
  work.set_up();
  const Stopwatch watch;
  work.run();
  return watch.elapsed_ms();
}

}  // namespace

WorkPool::WorkPool(Catalog maskers, std::vector<BenchmarkCase> cases)
    : maskers_(std::move(maskers)), cases_(std::move(cases)) {}

const BenchmarkCase& WorkPool::find(std::string_view name) const {
  for (const BenchmarkCase& benchmark : cases_) {
    if (benchmark.name == name) return benchmark;
  }
  throw Error("there is no case \"" + std::string(name) + "\"; --list names them");
}

BenchmarkWork& WorkPool::work(const BenchmarkCase& benchmark, int threads) {
  const auto [at, is_new] = works_.try_emplace({benchmark.name, threads});
  WorkOrFailure& entry = at->second;
  if (is_new) {
    try {
      entry.work = benchmark.make({maskers_, problems_}, workers(threads));
      entry.work->set_up();
      entry.work->run();
      entry.work->check();
    } catch (const std::exception& error) {
      entry.failure = error.what();
    }
  }
  if (!entry.failure.empty()) throw Error(entry.failure);
  return *entry.work;
}

const MachinePeaks& WorkPool::peaks(int threads) {
  const auto [at, is_new] = peaks_.try_emplace(threads);
  if (is_new) at->second = measure_peaks(workers(threads));
  return at->second;
}

const Threads& WorkPool::workers(int threads) {
  return threads_.try_emplace(threads, threads).first->second;
}

double sample_ms(BenchmarkWork& work) {
  // Rationale: threads that slept take milliseconds until they run again.
  constexpr double kWarm_ms = 20;
  constexpr double kLeast_ms = 1;
  const double first_ms = timed_run_ms(work);
  if (first_ms >= 7 * kWarm_ms) return first_ms;
  for (double warmed_ms = first_ms; warmed_ms < kWarm_ms;) warmed_ms += timed_run_ms(work);
  double total_ms = 0;
  int runs = 0;
  while (total_ms < kLeast_ms) {
    total_ms += timed_run_ms(work);
    ++runs;
  }
  return total_ms / runs;
}

}  // namespace maskerade
