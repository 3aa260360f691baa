#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/results/result_store.hpp"
#include "experiments/run/runner.hpp"

namespace maskerade {

// Which jobs of an experiment are run, as the command line says. Absent and empty: all.
struct JobChoice {
  // Patterns of pipelines' names and labels, in which * stands for any text and ? for any
  // character: "quest*".
  std::vector<std::string> pipelines = {};
  std::vector<std::int64_t> cells = {};  // numbers of jobs
  std::optional<Shard> shard = {};       // one of equal runs of neighbouring jobs

  // Whether no job of the experiment, or of its shard, is left out.
  bool is_whole() const { return pipelines.empty() && cells.empty(); }
};

// "2/8": part 2 of 8. Throws ConfigError when the text is none.
Shard parse_shard(const std::string& text);

// Those of the jobs, make_jobs() of the experiment, that are chosen. With patterns, the dense
// references of their workloads are chosen, too. Throws ConfigError when a pattern fits no
// pipeline, or a number no job, or one of another pipeline.
std::vector<Job> choose_jobs(const Experiment& experiment,
                             const std::vector<Job>& jobs,
                             const JobChoice& choice);

}  // namespace maskerade
