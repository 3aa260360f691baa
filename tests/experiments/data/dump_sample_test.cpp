#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/data/workload.hpp"
#include "tests/experiments/sources/source_for_test.hpp"
#include "tests/framework/tensor_files/safetensors_for_test.hpp"

namespace maskerade {
namespace {

// Two layers of a tiny Llama with random weights, 4 query heads over 2 kv heads, 116 tokens, 24
// sampled queries, written by experiments/tools/dump_qkv.py (see dump_qkv_test.py --sample).
const std::string kSample = std::string(SAMPLES_FOLDER) + "/tiny_llama.safetensors";

TEST(DumpSample, ALayerIsAWorkload) {
  for (const int layer : {0, 1}) {
    WorkloadSpec spec;
    spec.source = source_of("{kind: safetensors, file: '" + kSample + "', layers: [" +
                            std::to_string(layer) + "]}");
    const Workload workload = load_workload(spec);
    EXPECT_EQ(workload.shape.to_string(), "(1, 4, 2, 24, 116, 16)");
    EXPECT_EQ(workload.dtype, DType::kFloat16);
    EXPECT_TRUE(workload.causal);
    EXPECT_EQ(workload.scale, 0.25F);
    EXPECT_EQ(workload.layer, layer);
    ASSERT_EQ(workload.query_positions.size(), 24U);
    EXPECT_EQ(workload.inputs().visibility.end(5), workload.query_positions[5] + 1);
    EXPECT_NO_THROW(workload.inputs().validate());
  }
}

TEST(DumpSample, TheProgramRunsEveryLayer) {
  const DataFolder folder;
  std::ofstream(folder.path() / "x.yaml")
      << "name: dumped\n"
         "workload: {source: {kind: safetensors, file: '"
      << kSample
      << "', layers: all}}\n"
         "pipelines: {p: [{sink: 4}, {local: 16}, {oracle_topk: 10%}]}\n"
         "check: {oracle_rows: all}\n"
         "measure: {target: 50%, budget: 1ms}\n";
  const std::string command = "cd '" + folder.path().string() + "' && '" + MASKERADE_TEST_PROGRAM +
                              "' run x.yaml --json out.jsonl >out.txt 2>&1";
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  std::ifstream lines(folder.path() / "out.jsonl");
  std::vector<std::string> cells;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json.at("status"), "ok");
    EXPECT_EQ(json.at("query_len"), 24);
    EXPECT_LT(json.at("oracle_error"), 1e-5);
    cells.push_back(json.at("workload").get<std::string>() + " " +
                    std::to_string(json.at("layer").get<int>()) + " " +
                    json.at("pipeline").get<std::string>());
  }
  EXPECT_EQ(cells, (std::vector<std::string>{"workload layer=0 0 dense", "workload layer=0 0 p",
                                             "workload layer=1 1 dense", "workload layer=1 1 p"}));
}

}  // namespace
}  // namespace maskerade
