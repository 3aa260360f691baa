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

WorkloadDescription without_layer(const Experiment& experiment) {
  return describe_workload(load_workload(workload_of(experiment, "workload")));
}

WorkloadDescription of_layer(const Experiment& experiment, std::int64_t layer) {
  WorkloadDescription workload = without_layer(experiment);
  workload.layer = layer;
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
  const PipelineSpec& spec = pipeline_of(experiment, "p");
  const Pipeline first = routed_pipeline(spec, of_layer(experiment, 0));
  EXPECT_EQ(route_texts(first), (NamedTexts{{"dense", "0 2"}, {"streaming", "1 4"}}));
  EXPECT_EQ(first.maskers().size(), 2U);
  const Pipeline second = routed_pipeline(spec, of_layer(experiment, 1));
  EXPECT_EQ(route_texts(second), (NamedTexts{{"dense", "0 2-3 5"}, {"streaming", "1 4"}}));
  EXPECT_TRUE(second.maskers().empty()) << "no head is left for them";
  const Pipeline other = routed_pipeline(spec, of_layer(experiment, 7));
  EXPECT_EQ(route_texts(other), (NamedTexts{{"dense", "0-2"}}));
  const Pipeline none = routed_pipeline(spec, without_layer(experiment));
  EXPECT_EQ(route_texts(none), (NamedTexts{{"dense", "0-2"}})) << "data that states no layer";
}

TEST(RoutedPipeline, NamesTheMaskersOfRoutesByTheRoute) {
  const Experiment experiment = routed(kRules);
  const Pipeline pipeline = routed_pipeline(pipeline_of(experiment, "p"), of_layer(experiment, 0));
  EXPECT_EQ(names_of(resolved_parameters(pipeline)),
            (Names{"sink", "sink#2", "streaming/sink", "streaming/local"}));
}

TEST(RoutedPipeline, RefusesAHeadThatTheDataDoNotHave) {
  const Experiment experiment = routed(kRules);
  WorkloadDescription workload = of_layer(experiment, 0);
  workload.facts.shape.query_heads = 4;
  try {
    routed_pipeline(pipeline_of(experiment, "p"), workload);
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
  const FinishedRun ran = run_all(
      routed("  topk: [{oracle_topk: 4}]\n"
             "  p: {maskers: [{oracle_topk: 4}],\n"
             "      overrides: [{heads: [3, 5], use: streaming}, {heads: [4], use: dense}]}\n"));
  EXPECT_EQ(ran.outcome.failed, 0U);
  const CellResult& streaming = ran.row("streaming");
  const CellResult& topk = ran.row("topk");
  const CellResult& dense = ran.row("dense");
  const CellResult& routes = ran.row("p");
  EXPECT_TRUE(topk.routes.empty());
  EXPECT_EQ(routes.routes, (NamedTexts{{"streaming", "3 5"}, {"dense", "4"}}));
  ASSERT_EQ(routes.heads.size(), 6U);
  const struct {
    std::int64_t head;
    std::string route;
    const CellResult& same;  // the row whose maskers select for the head
  } expected[] = {{0, "", topk},       {1, "", topk},
                  {2, "", topk},       {3, "streaming", streaming},
                  {4, "dense", dense}, {5, "streaming", streaming}};
  for (const auto& [head, route, same] : expected) {
    const HeadResult& result = head_of(routes, 0, head);
    EXPECT_EQ(result.route, route) << head;
    EXPECT_TRUE(head_of(topk, 0, head).route.empty()) << head;
    EXPECT_EQ(result.density, head_of(same, 0, head).density) << head;
    // The outputs are float32.
    EXPECT_NEAR(result.recall, head_of(same, 0, head).recall, 1e-5) << head;
  }
  EXPECT_EQ(names_of(routes.times->select_by_masker),
            (Names{"oracle_topk", "streaming/sink", "streaming/local"}));
  // Heads 0 to 2 are one kv group, the only one whose keys are scored.
  EXPECT_EQ(routes.cost->keys_scored, topk.cost->keys_scored / 2);
  EXPECT_EQ(routes.cost->select_bytes_read, topk.cost->select_bytes_read / 2);
  EXPECT_EQ(names_of(routes.plugins), (Names{"oracle_topk", "sink", "local"}));
}

}  // namespace
}  // namespace maskerade
