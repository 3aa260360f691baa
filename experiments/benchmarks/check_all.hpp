#pragma once

#include "experiments/benchmarks/work_pool.hpp"

namespace maskerade {

// Makes, runs and checks every case once on each number of threads. Prints the failures; returns
// their number.
int check_all(WorkPool& pool, const std::vector<int>& thread_counts);

}  // namespace maskerade
