#include <fmt/format.h>

#include <algorithm>

#include "experiments/config/experiment.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kMaxCells = 1'000'000;

}  // namespace

bool runs_on(const PipelineSpec& pipeline, const WorkloadSpec& workload) noexcept {
  return !pipeline.only || !workload.kind || *pipeline.only == *workload.kind;
}

bool depends_on_seed(const PipelineSpec& pipeline, const WorkloadSpec& workload) {
  return Pipeline(pipeline.maskers).depends_on_seed() ||
         std::any_of(pipeline.overrides.begin(), pipeline.overrides.end(),
                     [&](const RouteRule& rule) {
                       return may_hold(rule, workload) && Pipeline(rule.maskers).depends_on_seed();
                     });
}

std::vector<Cell> make_grid(const Experiment& experiment) {
  std::vector<Cell> cells;
  for (std::size_t workload = 0; workload < experiment.workloads.size(); ++workload) {
    for (std::size_t check = 0; check < experiment.checks.size(); ++check) {
      for (std::size_t pipeline = 0; pipeline < experiment.pipelines.size(); ++pipeline) {
        const PipelineSpec& spec = experiment.pipelines[pipeline];
        if (!runs_on(spec, experiment.workloads[workload])) continue;
        const std::size_t seeds = depends_on_seed(spec, experiment.workloads[workload])
                                      ? experiment.mask_seeds.size()
                                      : std::min<std::size_t>(1, experiment.mask_seeds.size());
        for (const std::string& device : experiment.devices) {
          for (const std::string& kernel : experiment.kernels) {
            for (std::size_t seed = 0; seed < seeds; ++seed) {
              if (cells.size() == kMaxCells) {
                throw ConfigError({experiment.file.string(), 0, 0},
                                  fmt::format("the experiment has more than {} cells; sweep less, "
                                              "or split it into several files",
                                              kMaxCells));
              }
              cells.push_back({.number = cells.size(),
                               .workload = workload,
                               .pipeline = pipeline,
                               .check = check,
                               .device = device,
                               .kernel = kernel,
                               .mask_seed = experiment.mask_seeds[seed]});
            }
          }
        }
      }
    }
  }
  return cells;
}

}  // namespace maskerade
