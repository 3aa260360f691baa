#include "experiments/report/blocks.hpp"

#include <algorithm>
#include <cstddef>

namespace maskerade {
namespace {

bool is_same_combination(const CellResult& a, const CellResult& b) {
  return a.pipeline == b.pipeline && a.device == b.device && a.kernel == b.kernel &&
         a.mask_seed == b.mask_seed;
}

bool belongs_to(std::span<const CellResult> block, const CellResult& result) {
  return block.front().experiment == result.experiment &&
         block.front().workload == result.workload &&
         std::none_of(block.begin(), block.end(),
                      [&](const CellResult& other) { return is_same_combination(other, result); });
}

}  // namespace

std::vector<std::span<const CellResult>> blocks_of(std::span<const CellResult> results) {
  std::vector<std::span<const CellResult>> blocks;
  std::size_t first = 0;
  for (std::size_t i = 1; i <= results.size(); ++i) {
    const std::span<const CellResult> block = results.subspan(first, i - first);
    if (i < results.size() && belongs_to(block, results[i])) continue;
    blocks.push_back(block);
    first = i;
  }
  return blocks;
}

}  // namespace maskerade
