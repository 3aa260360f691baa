#pragma once

#include <string>
#include <string_view>

#include "experiments/config/experiment.hpp"
#include "framework/base/error.hpp"

namespace maskerade {

// The item of a list for which holds(item) is true. `what` says in words what is looked for, and
// name(item) what an item is called. Throws Error, which fails the test and names the items, unless
// there is exactly one.
template <typename Items, typename Name, typename Condition>
auto& only_item(Items& items, const std::string& what, const Name& name, const Condition& holds) {
  decltype(items.data()) found = nullptr;
  std::string names;
  for (auto& item : items) {
    names += "\n  " + name(item);
    if (!holds(item)) continue;
    if (found != nullptr) {
      throw Error("there is more than one " + what + ": " + name(*found) + "; " + name(item));
    }
    found = &item;
  }
  if (found == nullptr) throw Error("there is no " + what + " among:" + names);
  return *found;
}

// The item with a label of a list of WorkloadSpec or PipelineSpec. Throws Error unless there is
// exactly one.
template <typename Specs>
auto& labelled(Specs& specs, std::string_view label) {
  return only_item(
      specs, "label \"" + std::string(label) + "\"", [](const auto& spec) { return spec.label; },
      [&](const auto& spec) { return spec.label == label; });
}
inline const WorkloadSpec& workload_of(const Experiment& experiment, std::string_view label) {
  return labelled(experiment.workloads, label);
}
inline WorkloadSpec& workload_of(Experiment& experiment, std::string_view label) {
  return labelled(experiment.workloads, label);
}
inline const PipelineSpec& pipeline_of(const Experiment& experiment, std::string_view label) {
  return labelled(experiment.pipelines, label);
}
inline PipelineSpec& pipeline_of(Experiment& experiment, std::string_view label) {
  return labelled(experiment.pipelines, label);
}

// The rules of an experiment whose `check` and `measure` are not swept. Throws Error where they
// are: then it has several.
template <typename AnyExperiment>
auto& only_rules_of(AnyExperiment& experiment) {
  if (experiment.checks.size() != 1) {
    throw Error("the experiment has " + std::to_string(experiment.checks.size()) +
                " sets of rules, and the test looks at the only one");
  }
  return experiment.checks.front();
}

}  // namespace maskerade
