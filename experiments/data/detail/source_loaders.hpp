#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "experiments/config/experiment.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/sources/source.hpp"

namespace maskerade {

// The workload of a source, without decode_steps and without a fingerprint. A generated one has the
// queries that spec.queries draws; one of files has all that are in the files. Errors: see
// load_workload.
Workload generate_workload(const WorkloadSpec& spec, const GeneratedSource& source);
Workload read_stored_workload(const WorkloadSpec& spec, const StoredSource& source);

// The scale of the logits: what the experiment says, or else the file, or else 1 / sqrt(head_dim).
float choose_scale(const WorkloadSpec& spec, std::optional<float> of_file, std::int64_t head_dim);

// Leaves out the queries of a workload that has them all: keeps those that spec.queries draws, or
// of a decode trace the last ones, one a step. Sets query_len and, unless the queries that are kept
// are the last ones, query_positions. Returns the rows that are kept, sorted. Requires check_sizes.
std::vector<std::int64_t> choose_rows(const WorkloadSpec& spec, Workload& workload);

// Throws ConfigError when q, k, v and an output of this shape are more bytes than the memory that
// this process may use. To be called before they, or lists of all queries, are allocated.
void check_memory(const WorkloadSpec& spec, const AttentionShape& shape, DType dtype);

}  // namespace maskerade
