#include <fmt/format.h>

#include <cmath>
#include <functional>

#include "experiments/benchmarks/attention_work.hpp"
#include "experiments/benchmarks/block_patterns.hpp"
#include "experiments/benchmarks/tables.hpp"

namespace maskerade {
namespace {

// Returns the mask of a block pattern over `blocks` query blocks and as many key blocks.
using Pattern = std::function<Mask(std::int64_t blocks)>;

Pattern dense() {
  return [](std::int64_t blocks) { return Mask::full(Visibility::all(64 * blocks, 64 * blocks)); };
}
// 7 blocks in a row of blocks, except near the edges.
Pattern dilated() {
  return [](std::int64_t blocks) {
    const std::int64_t rates[] = {1, 2, 4};
    return block_dilated_mask(blocks, rates);
  };
}
// 5 blocks in a row of blocks, except near the edges.
Pattern local() {
  return [](std::int64_t blocks) { return block_local_mask(blocks, 2); };
}
// 10 % of the blocks of each row, as many as the published adaptive variant keeps. They are drawn
// at random, because which blocks they are makes no difference to the time.
Pattern tenth() {
  return [](std::int64_t blocks) { return random_block_mask(blocks, blocks / 10, 7); };
}
// The dilated pattern whose number of blocks in a row comes nearest to the density. A row has its
// own block and blocks on both sides at the distances 1, 2, 3, 6, 5, 10, ...: the odd numbers and
// their doubles, which the dilation rates 1 and 2 give.
Pattern dilated_to(double density) {
  return [=](std::int64_t blocks) {
    const auto per_side = std::llround((static_cast<double>(blocks) * density - 1) / 2);
    std::vector<std::int64_t> rates;
    for (std::int64_t n = 0; n < per_side; ++n) {
      const std::int64_t stride = n / 2 * 2 + 1;
      rates.push_back(n % 2 == 0 ? stride : 2 * stride);
    }
    return block_dilated_mask(blocks, rates);
  };
}

BenchmarkCase block_case(const std::string& name,
                         AttentionShape shape,
                         const Pattern& pattern,
                         Scale scale) {
  const std::string full_name = fmt::format("{}/{}/float32", name, shape_name(shape));
  if (scale == Scale::kReduced) {
    shape.query_heads = shape.kv_heads = 2;
    shape.query_len = shape.key_len = 640;
  }
  return {full_name, [=](const BenchmarkContext& context, const Threads& threads) {
            return attend_work(context.problems.problem(shape, DType::kFloat32, false),
                               pattern(shape.key_len / 64), std::nullopt, threads);
          }};
}

AttentionShape square(std::int64_t batch, std::int64_t heads, std::int64_t length) {
  return {batch, heads, heads, length, length, 64};
}

}  // namespace

// Patterns of blocks of 64 tokens, beside dense attention on the same shapes.

std::vector<BenchmarkCase> block_dilated_cases(Scale scale) {
  std::vector<BenchmarkCase> cases;
  for (const std::int64_t length : {2048, 8192}) {
    cases.push_back(block_case("block_dilated/dense", square(1, 8, length), dense(), scale));
    cases.push_back(block_case("block_dilated/dilated", square(1, 8, length), dilated(), scale));
    cases.push_back(block_case("block_dilated/tenth", square(1, 8, length), tenth(), scale));
    cases.push_back(block_case("block_dilated/local", square(1, 12, length), local(), scale));
  }
  return cases;
}

std::vector<BenchmarkCase> block_local_cases(Scale scale) {
  std::vector<BenchmarkCase> cases;
  for (const std::int64_t length : {4096, 8192, 16384}) {
    const AttentionShape shape = square(1, 8, length);
    if (length < 16384) cases.push_back(block_case("block_local/dense", shape, dense(), scale));
    cases.push_back(block_case("block_local/local", shape, local(), scale));
  }
  return cases;
}

std::vector<BenchmarkCase> block_density_cases(Scale scale) {
  std::vector<BenchmarkCase> cases;
  for (const auto& [length, batch] :
       {std::pair{2048, 4}, std::pair{4096, 2}, std::pair{8192, 1}, std::pair{16384, 1}}) {
    const AttentionShape shape = square(batch, 8, length);
    if (length < 16384) cases.push_back(block_case("block_density/dense", shape, dense(), scale));
    for (const double density : {0.1, 0.05, 0.02}) {
      cases.push_back(block_case(fmt::format("block_density/density={}", density), shape,
                                 dilated_to(density), scale));
    }
  }
  return cases;
}

}  // namespace maskerade
