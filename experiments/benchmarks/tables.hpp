#pragma once

#include <vector>

#include "experiments/benchmarks/benchmark_case.hpp"

namespace maskerade {

// The cases of each table: what stands in benchmark_tables().
std::vector<BenchmarkCase> dense_cases(Scale scale);
std::vector<BenchmarkCase> window_cases(Scale scale);
std::vector<BenchmarkCase> tile_cases(Scale scale);
std::vector<BenchmarkCase> decode_cases(Scale scale);
std::vector<BenchmarkCase> top_k_cases(Scale scale);
std::vector<BenchmarkCase> union_cases(Scale scale);
std::vector<BenchmarkCase> scaling_cases(Scale scale);
std::vector<BenchmarkCase> mask_operation_cases(Scale scale);
std::vector<BenchmarkCase> oracle_topk_cases(Scale scale);
// Of block_cases.cpp.
std::vector<BenchmarkCase> block_dilated_cases(Scale scale);
std::vector<BenchmarkCase> block_local_cases(Scale scale);
std::vector<BenchmarkCase> block_density_cases(Scale scale);

}  // namespace maskerade
