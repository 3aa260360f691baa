#include "experiments/run/describe_run.hpp"

#include <unistd.h>

#include <array>
#include <map>

#include "experiments/measure/build_facts.hpp"
#include "experiments/measure/machine.hpp"
#include "experiments/measure/machine_load.hpp"

namespace maskerade {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

// The maskers of an experiment, by id.
std::map<std::string, const MaskerType*> masker_types_of(const Experiment& experiment) {
  std::map<std::string, const MaskerType*> types;
  for (const PipelineSpec& pipeline : experiment.pipelines) {
    for (const MaskerUse* use : maskers_of(pipeline)) types[use->type->id()] = use->type.get();
  }
  return types;
}

}  // namespace

RunRecord describe_run(const Experiment& experiment, const RunOptions& options) {
  RunRecord run;
  run.experiment = experiment.name;
  run.file = experiment.file.string();
  run.yaml = experiment.text;
  for (const Assignment& assignment : experiment.assignments) {
    run.assignments.emplace_back(assignment.key, assignment.value);
  }
  run.started_at = utc_now();
  run.host = host_name();
  run.process = getpid();
  run.machine = machine_name();
  run.threads = options.threads.count();
  run.load_average = load_average();
  run.program_version = program_version();
  const BuildFacts& built = build_facts();
  run.commit = built.commit;
  run.tree_state = built.tree_state;
  run.compiler = built.compiler;
  run.compiler_flags = built.flags;
  for (const auto& [id, type] : masker_types_of(experiment)) {
    run.plugin_files.emplace_back(id, type->library().string());
    run.plugin_hashes.emplace_back(id, type->sha256());
    run.plugin_builds.emplace_back(id, type->build());
  }
  return run;
}

}  // namespace maskerade
