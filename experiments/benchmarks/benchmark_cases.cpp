#include <algorithm>
#include <array>

#include "experiments/benchmarks/benchmark_case.hpp"
#include "experiments/benchmarks/tables.hpp"
#include "framework/base/error.hpp"

namespace maskerade {

std::span<const BenchmarkTable> benchmark_tables() {
  static constexpr std::array<BenchmarkTable, 12> kTables = {{
      {"dense", "dense prefill, against which every speedup is measured", dense_cases},
      {"window", "sink and local, which depend on positions alone: each stage of the prefill",
       window_cases},
      {"tiles", "prefill over random tiles of 64 x 64 entries, by density, on the shapes of dense",
       tile_cases},
      {"decode", "a few queries over a long key-value cache: dense, and sink, local and top-k",
       decode_cases},
      {"top_k", "top-k selection alone: from scores to the indices of the best keys", top_k_cases},
      {"union", "the union of two random masks of one query and 32 heads", union_cases},
      {"scaling", "how time grows with the number of keys: dense and windowed prefill, decode",
       scaling_cases},
      {"mask_operations",
       "operations on masks with weights (apply, merge, conversions, local, sink), beside "
       "published "
       "times",
       mask_operation_cases},
      {"oracle_topk",
       "top-k selection into a mask that may hold entries already, beside published times",
       oracle_topk_cases},
      {"block_dilated", "prefill over blocks at growing distances, beside published times",
       block_dilated_cases},
      {"block_local", "prefill over the five nearest blocks, beside published times",
       block_local_cases},
      {"block_density", "prefill over blocks at 10, 5 and 2 % density, beside published times",
       block_density_cases},
  }};
  return kTables;
}

const BenchmarkTable& benchmark_table(std::string_view name) {
  const std::span<const BenchmarkTable> tables = benchmark_tables();
  const auto found = std::find_if(tables.begin(), tables.end(),
                                  [&](const BenchmarkTable& table) { return name == table.name; });
  if (found == tables.end()) throw Error("there is no table \"" + std::string(name) + "\"");
  return *found;
}

std::vector<BenchmarkCase> benchmark_cases(Scale scale) {
  std::vector<BenchmarkCase> all;
  for (const BenchmarkTable& table : benchmark_tables()) {
    for (BenchmarkCase& one : table.cases(scale)) all.push_back(std::move(one));
  }
  return all;
}

}  // namespace maskerade
