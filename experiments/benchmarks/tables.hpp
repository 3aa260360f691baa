#pragma once

#include <vector>

#include "experiments/benchmarks/benchmark_case.hpp"

namespace maskerade {

// The cases of each table, in the file of the table's name.
std::vector<BenchmarkCase> dense_cases(Scale scale);

}  // namespace maskerade
