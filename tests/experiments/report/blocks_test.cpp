#include "experiments/report/blocks.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

CellResult cell_of(const std::string& workload,
                   const std::string& pipeline,
                   std::optional<std::uint64_t> mask_seed = 0) {
  CellResult result = example_result();
  result.workload = workload;
  result.pipeline = pipeline;
  result.mask_seed = mask_seed;
  return result;
}

// The pipelines of each block.
std::vector<std::vector<std::string>> pipelines_by_block(const std::vector<CellResult>& results) {
  std::vector<std::vector<std::string>> pipelines;
  for (const std::span<const CellResult> block : blocks_of(results)) {
    pipelines.emplace_back();
    for (const CellResult& result : block) pipelines.back().push_back(result.pipeline);
  }
  return pipelines;
}

using Blocks = std::vector<std::vector<std::string>>;

TEST(Blocks, AreThoseOfOneWorkload) {
  EXPECT_EQ(pipelines_by_block({cell_of("prefill", "dense"), cell_of("prefill", "topk"),
                                cell_of("decode", "dense"), cell_of("decode", "topk")}),
            (Blocks{{"dense", "topk"}, {"dense", "topk"}}));
}

TEST(Blocks, OfASweptCheckBeginWhereAPipelineComesAgain) {
  EXPECT_EQ(pipelines_by_block({cell_of("prefill", "dense"), cell_of("prefill", "topk"),
                                cell_of("prefill", "dense"), cell_of("prefill", "topk")}),
            (Blocks{{"dense", "topk"}, {"dense", "topk"}}));
}

TEST(Blocks, KeepDevicesKernelsAndSeedsTogether) {
  CellResult cuda = cell_of("prefill", "topk");
  cuda.device = "cuda";
  CellResult rows = cell_of("prefill", "topk");
  rows.kernel = "rows";
  EXPECT_EQ(pipelines_by_block({cell_of("prefill", "topk"), cuda, rows,
                                cell_of("prefill", "topk", 1), cell_of("prefill", "topk", {})}),
            (Blocks{{"topk", "topk", "topk", "topk", "topk"}}));
}

TEST(Blocks, OfTwoExperimentsAreApart) {
  CellResult other = cell_of("prefill", "topk");
  other.experiment = "another";
  EXPECT_EQ(pipelines_by_block({cell_of("prefill", "dense"), other}),
            (Blocks{{"dense"}, {"topk"}}));
}

TEST(Blocks, OfNothingAreNone) { EXPECT_TRUE(blocks_of({}).empty()); }

}  // namespace
}  // namespace maskerade
