#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/results/cell_result.hpp"
#include "experiments/run/workload_description.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

struct Job;

// Makes the pipeline of a spec for a workload. Each head of the workload's layer takes the first
// override that holds for it as its route; the other heads have the spec's maskers. Where every
// head takes a route, the pipeline has no maskers of its own. Throws ConfigError where an override
// names a head that the workload does not have.
Pipeline routed_pipeline(const PipelineSpec& spec, const WorkloadDescription& workload);

// Makes the pipeline of a job: empty for the dense reference, and without routes when workload is
// nullptr.
Pipeline pipeline_of(const Experiment& experiment,
                     const Job& job,
                     const WorkloadDescription* workload);

// Name and resolved parameters of every masker that runs, in the order of Selection::maskers: its
// id, with "ROUTE/" before it on a route, and #2, #3, ... after it where a list repeats it.
std::vector<std::pair<std::string, NamedTexts>> resolved_parameters(const Pipeline& pipeline);

// Sets HeadResult::route of each head.
void name_routes(const Pipeline& pipeline, std::vector<HeadResult>& heads);

// For each route of the pipeline, in their order: its name, and the query heads that take it as
// text, "0-3 6".
NamedTexts route_texts(const Pipeline& pipeline);

}  // namespace maskerade
