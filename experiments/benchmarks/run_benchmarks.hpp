#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/benchmarks/published_tables.hpp"
#include "experiments/benchmarks/work_pool.hpp"

namespace maskerade {

// Times cases of the pool on each number of threads, and prints their times, the published tables
// with them, and the exponents of the table `scaling`. options: of Google Benchmark, which choose
// the cases. today: times of the published code to print too, may be empty. program: the program's
// name. Returns false when a case failed. Throws ConfigError on an option that Google Benchmark
// does not know.
bool run_benchmarks(WorkPool& pool,
                    std::span<const int> thread_counts,
                    const TimesToday& today,
                    const std::string& program,
                    const std::vector<std::string>& options);

}  // namespace maskerade
