#include "experiments/benchmarks/check_all.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "framework/base/text.hpp"

namespace maskerade {

int check_all(WorkPool& pool, const std::vector<int>& thread_counts) {
  int failures = 0;
  for (const BenchmarkCase& benchmark : pool.cases()) {
    for (const int threads : thread_counts) {
      try {
        pool.work(benchmark, threads);
      } catch (const std::exception& error) {
        ++failures;
        fmt::print("{} threads:{}: {}\n", benchmark.name, threads, printable(error.what()));
      }
    }
    pool.forget_works();
  }
  fmt::print("{} cases on {} thread counts, {} failed\n", pool.cases().size(), thread_counts.size(),
             failures);
  return failures;
}

}  // namespace maskerade
