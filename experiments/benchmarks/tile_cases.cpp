#include <fmt/format.h>

#include "experiments/benchmarks/attention_work.hpp"
#include "experiments/benchmarks/block_patterns.hpp"
#include "experiments/benchmarks/tables.hpp"

namespace maskerade {

// The kernel `tiles` over random tiles of 64 x 64 entries, not causal. The table `dense` has the
// same shapes.
std::vector<BenchmarkCase> tile_cases(Scale scale) {
  std::vector<BenchmarkCase> cases;
  for (const std::int64_t length : {4096, 8192}) {
    for (const double density : {0.5, 0.25, 0.1, 0.05, 0.02}) {
      const AttentionShape full{1, 8, 8, length, length, 64};
      AttentionShape shape = full;
      if (scale == Scale::kReduced) shape.query_len = shape.key_len = 512;
      cases.push_back({fmt::format("tiles/{}/float32/density={}", shape_name(full), density),
                       [=](const BenchmarkContext& context, const Threads& threads) {
                         const std::int64_t blocks = shape.key_len / 64;
                         return attend_work(
                             context.problems.problem(shape, DType::kFloat32, false),
                             random_block_mask(blocks, blocks_per_row(blocks, density), 7),
                             Walk::kTiles, threads);
                       }});
    }
  }
  return cases;
}

}  // namespace maskerade
