#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "tests/experiments/config/read_experiment_for_test.hpp"

namespace maskerade {
namespace {

TEST(Quickstart, IsReadWithTheBuiltInMaskers) {
  Catalog catalog;
  for (const char* masker : {"sink", "local", "oracle_topk"}) {
    catalog.load(std::filesystem::path(BUILT_IN_PLUGINS) / (std::string(masker) + ".so"));
  }
  const Experiment experiment =
      read_experiment(std::filesystem::path(EXPERIMENTS_FOLDER) / "quickstart.yaml", {}, catalog);
  std::vector<std::string> labels;
  for (const WorkloadSpec& spec : experiment.workloads) labels.push_back(spec.label);
  for (const PipelineSpec& spec : experiment.pipelines) labels.push_back(spec.label);
  EXPECT_EQ(labels,
            (std::vector<std::string>{"real minilm_l6_layer1_qkv", "real minilm_l6_layer5_qkv",
                                      "language layer=3", "language layer=14", "language layer=20",
                                      "prefill", "decode", "streaming", "topk budget=2%",
                                      "topk budget=5%", "topk budget=10%"}));
  EXPECT_EQ(make_grid(experiment).size(), 28U);
}

TEST(GpuExperiments, AreReadWithTheBuiltInMaskers) {
  Catalog catalog;
  catalog.load_folder(BUILT_IN_PLUGINS, true);
  const std::filesystem::path folder = EXPERIMENTS_FOLDER;
  const Experiment blocks = read_experiment(folder / "gpu_blocks.yaml", {}, catalog);
  EXPECT_EQ(make_grid(blocks).size(), 30U);
  EXPECT_EQ(workload_of(blocks, "published-109k").key_len, 109632);
  EXPECT_EQ(workload_of(blocks, "square query_len=131072 key_len=131072").query_len, 131072);
  const Experiment decode = read_experiment(folder / "gpu_decode.yaml", {}, catalog);
  EXPECT_EQ(make_grid(decode).size(), 8U);
}

}  // namespace
}  // namespace maskerade
