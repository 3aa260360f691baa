#include "experiments/benchmarks/benchmark_case.hpp"
#include "experiments/benchmarks/tables.hpp"

namespace maskerade {

std::vector<BenchmarkCase> benchmark_cases(Scale scale) {
  std::vector<BenchmarkCase> all;
  for (const auto table : {dense_cases, window_cases, tile_cases, decode_cases, top_k_cases,
                           union_cases, scaling_cases, seed000_cases, seed001_cases, block_cases}) {
    for (BenchmarkCase& one : table(scale)) all.push_back(std::move(one));
  }
  return all;
}

}  // namespace maskerade
