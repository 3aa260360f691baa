#pragma once

#include "experiments/config/experiment.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

// Rules that the sizes of a workload must keep. The reader of experiments checks the sizes that the
// experiment states; the loader checks again when it knows those of the data.

// Throws ConfigError, where the value stands, when a workload is a decode trace and has what a
// trace excludes: another query_len than 1, sampled queries, or attention that is not causal.
// Nothing for a workload that is no trace.
void check_decode(const WorkloadSpec& spec);

// Sets the sizes that a workload of a generated source may leave out to their defaults. Throws
// ConfigError when one is missing that has no default. Nothing for a source of files.
void complete_sizes(WorkloadSpec& spec);

// Throws ConfigError, where the value stands, when the sizes that are known break a rule, or when a
// generated source refuses them. `queries_are_last` says that query i is known to stand at key_len
// - query_len + i; a file may place its queries elsewhere.
void check_sizes(const WorkloadSpec& spec, bool queries_are_last);

// The shape of q, k and v. A size that is not known is 1. For a decode trace it has the queries of
// all steps and the keys at the end.
AttentionShape shape_of(const WorkloadSpec& spec) noexcept;

}  // namespace maskerade
