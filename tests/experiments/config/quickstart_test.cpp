#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"

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
                                      "prefill", "decode", "streaming", "topk budget=2%",
                                      "topk budget=5%", "topk budget=10%"}));
  EXPECT_EQ(make_grid(experiment).size(), 16U);
}

}  // namespace
}  // namespace maskerade
