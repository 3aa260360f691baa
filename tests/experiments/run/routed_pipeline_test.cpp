#include "experiments/run/routed_pipeline.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "test_experiment.hpp"

namespace maskerade {
namespace {

using Heads = std::vector<std::int64_t>;

// Six query heads of two kv heads; `pipelines` are lines of YAML.
Experiment routed(const std::string& pipelines) {
  return experiment_of(
      "name: routed\n"
      "workload: {source: {kind: gaussian, seed: 3}, query_heads: 6, kv_heads: 2, query_len: 8,\n"
      "           key_len: 40, head_dim: 4, causal: true}\n"
      "pipelines:\n"
      "  streaming: [{sink: 1}, {local: 3}]\n" +
      pipelines + "measure: {target: 50%, budget: 5ms}\n");
}

Workload of_layer(const Experiment& experiment, std::int64_t layer) {
  Workload workload = load_workload(experiment.workloads[0]);
  workload.layer = layer;
  workload.has_layer = true;
  return workload;
}

constexpr const char* kRules =
    "  p:\n"
    "    maskers: [{sink: 2}, {sink: 3}]\n"
    "    overrides:\n"
    "      - {layers: [0, 1], heads: [1, 4], use: streaming}\n"
    "      - {layers: [1], use: dense}\n"
    "      - {heads: [2, 1, 0], use: dense}\n";

TEST(RoutedPipeline, GivesAHeadTheFirstOverrideThatHoldsForIt) {
  const Experiment experiment = routed(kRules);
  const PipelineSpec& spec = experiment.pipelines[1];
  const Pipeline first = routed_pipeline(spec, of_layer(experiment, 0));
  EXPECT_EQ(route_texts(first), (NamedTexts{{"dense", "0 2"}, {"streaming", "1 4"}}));
  EXPECT_EQ(first.maskers().size(), 2U);
  const Pipeline second = routed_pipeline(spec, of_layer(experiment, 1));
  EXPECT_EQ(route_texts(second), (NamedTexts{{"dense", "0 2-3 5"}, {"streaming", "1 4"}}));
  EXPECT_TRUE(second.maskers().empty()) << "no head is left for them";
  const Pipeline other = routed_pipeline(spec, of_layer(experiment, 7));
  EXPECT_EQ(route_texts(other), (NamedTexts{{"dense", "0-2"}}));
  const Pipeline none = routed_pipeline(spec, load_workload(experiment.workloads[0]));
  EXPECT_EQ(route_texts(none), (NamedTexts{{"dense", "0-2"}})) << "data that states no layer";
}

TEST(RoutedPipeline, NamesTheMaskersOfRoutesByTheRoute) {
  const Experiment experiment = routed(kRules);
  const Pipeline pipeline = routed_pipeline(experiment.pipelines[1], of_layer(experiment, 0));
  std::vector<std::string> names;
  for (const auto& [name, parameters] : resolved_parameters(pipeline)) names.push_back(name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"sink", "sink#2", "streaming/sink", "streaming/local"}));
}

TEST(RoutedPipeline, RefusesAHeadThatTheDataDoNotHave) {
  const Experiment experiment = routed(kRules);
  Workload workload = of_layer(experiment, 0);
  workload.shape.query_heads = 4;
  try {
    routed_pipeline(experiment.pipelines[1], workload);
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what())
                  .find(":9:33: an override names query head 4, but workload \"gaussian seed 3\" "
                        "has the query heads 0 to 3"),
              std::string::npos)
        << error.what();
  }
}

TEST(RoutedPipeline, RunsAndRecordsTheRouteOfEachHead) {
  const Ran ran = run_all(
      routed("  topk: [{oracle_topk: 4}]\n"
             "  p: {maskers: [{oracle_topk: 4}],\n"
             "      overrides: [{heads: [3, 5], use: streaming}, {heads: [4], use: dense}]}\n"));
  EXPECT_EQ(ran.outcome.failed, 0U);
  const CellResult& streaming = ran.find("streaming");
  const CellResult& topk = ran.find("topk");
  const CellResult& routes = ran.find("p");
  EXPECT_TRUE(topk.routes.empty());
  EXPECT_EQ(routes.routes, (NamedTexts{{"streaming", "3 5"}, {"dense", "4"}}));
  ASSERT_EQ(routes.heads.size(), 6U);
  const std::vector<std::string> expected = {"", "", "", "streaming", "dense", "streaming"};
  for (std::size_t head = 0; head < 6; ++head) {
    EXPECT_EQ(routes.heads[head].route, expected[head]);
    EXPECT_TRUE(topk.heads[head].route.empty());
    const HeadResult& same = expected[head].empty()      ? topk.heads[head]
                             : expected[head] == "dense" ? ran.find("dense").heads[head]
                                                         : streaming.heads[head];
    EXPECT_EQ(routes.heads[head].density, same.density) << head;
    EXPECT_NEAR(routes.heads[head].recall, same.recall, 1e-5) << head;  // of float32 outputs
  }
  ASSERT_EQ(routes.times->select_by_masker.size(), 3U);
  EXPECT_EQ(routes.times->select_by_masker[1].first, "streaming/sink");
  // Heads 0 to 2 are one kv group, the only one whose keys are scored.
  EXPECT_EQ(routes.cost->keys_scored, topk.cost->keys_scored / 2);
  EXPECT_EQ(routes.cost->select_bytes_read, topk.cost->select_bytes_read / 2);
  ASSERT_EQ(routes.plugins.size(), 3U);
  EXPECT_EQ(routes.plugins[1].first, "sink");
}

}  // namespace
}  // namespace maskerade
