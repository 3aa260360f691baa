#pragma once

#include "experiments/config/experiment.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

// What must hold of a workload's sizes. The reader asks for those that the experiment states, the
// loader again with what the data has.

// Fills what a generated source may leave out; nothing for a source of files. Throws ConfigError
// when it has no size that it needs.
void complete_sizes(WorkloadSpec& spec);

// Throws ConfigError, where the value stands, when the sizes that are known break a rule.
// `queries_are_last`: query i is known to stand at key_len - query_len + i.
void check_sizes(const WorkloadSpec& spec, bool queries_are_last);

// The shape; a size that is not known is 1.
AttentionShape shape_of(const WorkloadSpec& spec) noexcept;

}  // namespace maskerade
