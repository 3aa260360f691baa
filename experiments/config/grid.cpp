#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "experiments/config/experiment.hpp"
#include "framework/base/saturate.hpp"

namespace maskerade {
namespace {

// Pairs of a workload and a pipeline, those without a cell included: every pair is looked at.
constexpr std::size_t kMaxPairs = 10 * kMaxCells;

constexpr std::array<std::optional<WorkloadKind>, 3> kKinds = {std::nullopt, WorkloadKind::kPrefill,
                                                               WorkloadKind::kDecode};

void refuse_cells(const Experiment& experiment) {
  throw ConfigError({experiment.file.string(), 0, 0},
                    fmt::format("the experiment has more than {} cells; sweep less, or split it "
                                "into several files",
                                kMaxCells));
}

// Pairs of a workload and a pipeline that runs on it. Those of a pipeline count once for each seed
// that its own maskers get.
std::size_t count_running_pairs(const Experiment& experiment, std::size_t seeds) {
  std::size_t pairs = 0;
  for (const std::optional<WorkloadKind>& kind : kKinds) {
    WorkloadSpec any;
    any.kind = kind;
    const auto workloads = static_cast<std::size_t>(
        std::count_if(experiment.workloads.begin(), experiment.workloads.end(),
                      [&](const WorkloadSpec& workload) { return workload.kind == kind; }));
    std::size_t pipelines = 0;
    for (const PipelineSpec& pipeline : experiment.pipelines) {
      if (!runs_on(pipeline, any)) continue;
      pipelines += seeds > 1 && Pipeline(pipeline.maskers).depends_on_seed() ? seeds : 1;
    }
    pairs = saturating_sum(pairs, saturating_product(workloads, pipelines));
  }
  return pairs;
}

// Throws ConfigError when there are too many cells, as far as it is known without a look at every
// pair. Overrides may add seeds.
void check_cells(const Experiment& experiment) {
  const std::size_t each = saturating_product(
      experiment.checks.size(), experiment.devices.size() * experiment.kernels.size());
  const std::size_t references =
      saturating_product(experiment.workloads.size(),
                         saturating_product(experiment.checks.size(), experiment.devices.size()));
  const std::size_t cells =
      saturating_product(count_running_pairs(experiment, experiment.mask_seeds.size()), each);
  if (cells > kMaxCells || references > kMaxCells) refuse_cells(experiment);
}

}  // namespace

void check_pairs(const Experiment& experiment) {
  if (count_running_pairs(experiment, 1) > kMaxCells) refuse_cells(experiment);
  const std::size_t workloads = experiment.workloads.size();
  const std::size_t pipelines = experiment.pipelines.size();
  if (saturating_product(workloads, pipelines) <= kMaxPairs) return;
  throw ConfigError({experiment.file.string(), 0, 0},
                    fmt::format("the experiment has {} workloads and {} pipelines, more than {} "
                                "pairs, of which few have a cell; split it into several files",
                                workloads, pipelines, kMaxPairs));
}

bool runs_on(const PipelineSpec& pipeline, const WorkloadSpec& workload) noexcept {
  return !pipeline.only || !workload.kind || *pipeline.only == *workload.kind;
}

std::vector<const MaskerUse*> maskers_of(const PipelineSpec& pipeline) {
  std::vector<const MaskerUse*> maskers;
  const auto add = [&](const std::vector<MaskerUse>& uses) {
    for (const MaskerUse& use : uses) maskers.push_back(&use);
  };
  add(pipeline.maskers);
  for (const RouteRule& rule : pipeline.overrides) add(rule.maskers);
  return maskers;
}

bool depends_on_seed(const PipelineSpec& pipeline, const WorkloadSpec& workload) {
  return Pipeline(pipeline.maskers).depends_on_seed() ||
         std::any_of(pipeline.overrides.begin(), pipeline.overrides.end(),
                     [&](const RouteRule& rule) {
                       return may_hold(rule, workload) && Pipeline(rule.maskers).depends_on_seed();
                     });
}

std::vector<Cell> make_grid(const Experiment& experiment) {
  check_pairs(experiment);
  check_cells(experiment);
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
              if (cells.size() == kMaxCells) refuse_cells(experiment);
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
