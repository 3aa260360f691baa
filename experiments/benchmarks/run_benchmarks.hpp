#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/benchmarks/published_tables.hpp"
#include "experiments/benchmarks/work_pool.hpp"

namespace maskerade {

// Times the cases that the options of Google Benchmark choose, on each number of threads, and
// prints them, the published tables among them and the exponents of `scaling`. False when a case
// failed. Throws ConfigError on an option that Google Benchmark does not know.
bool run_benchmarks(WorkPool& pool,
                    std::span<const int> thread_counts,
                    const TimesToday& today,
                    const std::string& program,
                    const std::vector<std::string>& options);

}  // namespace maskerade
