#pragma once

#include "experiments/benchmarks/work_pool.hpp"

namespace maskerade {

// Creates, runs and checks every case of the pool once on each number of threads. Prints each
// failure; returns how many there are.
int check_all(WorkPool& pool, const std::vector<int>& thread_counts);

}  // namespace maskerade
