#pragma once

#include <vector>

#include "experiments/benchmarks/benchmark_case.hpp"

namespace maskerade {

// The cases of each table. The cases of table NAME are in NAME_cases.cpp.
std::vector<BenchmarkCase> dense_cases(Scale scale);
std::vector<BenchmarkCase> window_cases(Scale scale);
std::vector<BenchmarkCase> tile_cases(Scale scale);
std::vector<BenchmarkCase> decode_cases(Scale scale);
std::vector<BenchmarkCase> top_k_cases(Scale scale);
std::vector<BenchmarkCase> union_cases(Scale scale);
std::vector<BenchmarkCase> scaling_cases(Scale scale);
std::vector<BenchmarkCase> seed000_cases(Scale scale);
std::vector<BenchmarkCase> seed001_cases(Scale scale);
std::vector<BenchmarkCase> block_cases(Scale scale);  // seed002, seed003, seed004

}  // namespace maskerade
