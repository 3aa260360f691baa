#include "experiments/benchmarks/benchmark_case.hpp"
#include "experiments/benchmarks/tables.hpp"

namespace maskerade {

std::vector<BenchmarkCase> benchmark_cases(Scale scale) {
  std::vector<BenchmarkCase> all;
  for (const auto table : {dense_cases}) {
    for (BenchmarkCase& one : table(scale)) all.push_back(std::move(one));
  }
  return all;
}

}  // namespace maskerade
