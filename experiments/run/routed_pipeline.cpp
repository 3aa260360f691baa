#include "experiments/run/routed_pipeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "experiments/config/route_reader.hpp"
#include "experiments/run/runner.hpp"

namespace maskerade {
namespace {

const RouteRule* rule_of(const std::vector<const RouteRule*>& rules, std::int64_t head) {
  const auto found = std::find_if(rules.begin(), rules.end(), [&](const RouteRule* rule) {
    return !rule->heads ||
           std::find(rule->heads->begin(), rule->heads->end(), head) != rule->heads->end();
  });
  return found == rules.end() ? nullptr : *found;
}

void add_parameters(const std::vector<MaskerUse>& maskers,
                    const std::string& prefix,
                    std::vector<std::pair<std::string, NamedTexts>>& parameters) {
  std::map<std::string, int> uses;
  for (const MaskerUse& use : maskers) {
    std::string name = prefix + use.type->id();
    const int count = ++uses[name];
    if (count > 1) name += fmt::format("#{}", count);
    parameters.emplace_back(name, use.arguments->resolved());
  }
}

// Ascending numbers, runs of them as "first-last".
std::string ranges_text(const std::vector<std::int64_t>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (i > 0) text += " ";
    text +=
        last == i ? fmt::to_string(numbers[i]) : fmt::format("{}-{}", numbers[i], numbers[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace

Pipeline routed_pipeline(const PipelineSpec& spec, const WorkloadDescription& workload) {
  const std::int64_t query_heads = workload.facts.shape.query_heads;
  std::vector<const RouteRule*> rules;
  for (const RouteRule& rule : spec.overrides) {
    if (!rule.is_for_layer(workload.layer)) continue;
    check_heads(rule, query_heads, workload.facts.source);
    rules.push_back(&rule);
  }
  std::vector<HeadRoute> routes;
  std::int64_t routed = 0;
  for (std::int64_t head = 0; head < query_heads; ++head) {
    const RouteRule* rule = rule_of(rules, head);
    if (rule == nullptr) continue;
    ++routed;
    auto route = std::find_if(routes.begin(), routes.end(),
                              [&](const HeadRoute& known) { return known.name == rule->use; });
    if (route == routes.end()) {
      route = routes.insert(
          route,
          {.name = rule->use, .heads = {}, .is_dense = rule->is_dense, .maskers = rule->maskers});
    }
    route->heads.push_back(head);
  }
  const bool has_own = routed < query_heads;
  return Pipeline(has_own ? spec.maskers : std::vector<MaskerUse>{}, std::move(routes));
}

Pipeline pipeline_of(const Experiment& experiment,
                     const Job& job,
                     const WorkloadDescription* workload) {
  if (job.is_dense_reference) return Pipeline({});
  const PipelineSpec& spec = experiment.pipelines[job.cell.pipeline];
  return workload == nullptr ? Pipeline(spec.maskers) : routed_pipeline(spec, *workload);
}

std::vector<std::pair<std::string, NamedTexts>> resolved_parameters(const Pipeline& pipeline) {
  std::vector<std::pair<std::string, NamedTexts>> parameters;
  add_parameters(pipeline.maskers(), "", parameters);
  for (const HeadRoute& route : pipeline.routes()) {
    add_parameters(route.maskers, route.name + "/", parameters);
  }
  return parameters;
}

void name_routes(const Pipeline& pipeline, std::vector<HeadResult>& heads) {
  for (HeadResult& head : heads) {
    const HeadRoute* const route = pipeline.route_of(head.head);
    head.route = route == nullptr ? "" : route->name;
  }
}

NamedTexts route_texts(const Pipeline& pipeline) {
  NamedTexts texts;
  for (const HeadRoute& route : pipeline.routes()) {
    texts.emplace_back(route.name, ranges_text(route.heads));
  }
  return texts;
}

}  // namespace maskerade
