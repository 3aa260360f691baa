#include "experiments/cli/idle_notes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "experiments/cli/commands.hpp"

namespace maskerade {

void note_idle_pipelines(const Experiment& experiment) {
  for (const PipelineSpec& pipeline : experiment.pipelines) {
    if (std::any_of(experiment.workloads.begin(), experiment.workloads.end(),
                    [&](const WorkloadSpec& workload) { return runs_on(pipeline, workload); })) {
      continue;
    }
    const char* kind = *pipeline.only == WorkloadKind::kDecode ? "decode" : "prefill";
    print_note(fmt::format("pipeline \"{0}\" is for {1} only and no workload is {1}: it is not run",
                           pipeline.label, kind));
  }
}

void note_idle_overrides(const Experiment& experiment) {
  struct RuleUse {
    const RouteRule* rule = nullptr;
    bool may_apply = false;  // to some workload
  };
  std::map<std::string, RuleUse> uses;  // by the rule's position in the text
  for (const PipelineSpec& pipeline : experiment.pipelines) {
    for (const WorkloadSpec& workload : experiment.workloads) {
      if (!runs_on(pipeline, workload)) continue;
      for (const RouteRule& rule : pipeline.overrides) {
        RuleUse& use = uses[rule.position.to_string()];
        use.rule = &rule;
        use.may_apply = use.may_apply || may_hold(rule, workload);
      }
    }
  }
  for (const auto& [position, use] : uses) {
    if (use.may_apply) continue;
    // Only a rule that names layers can apply to no workload.
    print_note(fmt::format("{}: the override of layers {} applies to no workload: it is not used",
                           position, fmt::join(*use.rule->layers, ", ")));
  }
}

}  // namespace maskerade
