#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/data/workload.hpp"

namespace maskerade {

// One per kind of source. Each gives a workload without a fingerprint; a generated one has the rows
// that spec.queries draws, one of files has all rows. Errors: see load_workload.
Workload generate_workload(const WorkloadSpec& spec, const GaussianSource& source);
Workload generate_workload(const WorkloadSpec& spec, const StructuredSource& source);
Workload read_workload_files(const WorkloadSpec& spec, const SafetensorsSource& source);
Workload read_workload_files(const WorkloadSpec& spec, const NpySource& source);

// 1 / sqrt(head_dim), or what the experiment or else the file says.
float choose_scale(const WorkloadSpec& spec, std::optional<float> of_file, std::int64_t head_dim);

// The rows that spec.queries draws from a workload of all rows, or the last ones, those of a decode
// trace: sets its query_len and, where rows are left out, the positions of the others. Requires
// check_sizes.
std::vector<std::int64_t> choose_rows(const WorkloadSpec& spec, Workload& workload);

// Throws ConfigError when q, k, v and an output of the workload's shape are more than the machine's
// memory. To be asked before they are allocated.
void check_memory(const WorkloadSpec& spec, const Workload& workload);

}  // namespace maskerade
