#pragma once

#include "experiments/config/experiment.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

// What must hold of a workload's sizes. The reader asks for those that the experiment states, the
// loader again with what the data has.

// Throws ConfigError, where the value stands, when a decode trace is asked for together with what
// it excludes: other queries than one a step, sampled ones, attention that is not causal.
void check_decode(const WorkloadSpec& spec);

// Fills what a generated source may leave out; nothing for a source of files. Throws ConfigError
// when it has no size that it needs.
void complete_sizes(WorkloadSpec& spec);

// Throws ConfigError, where the value stands, when the sizes that are known break a rule.
// `queries_are_last`: query i is known to stand at key_len - query_len + i.
void check_sizes(const WorkloadSpec& spec, bool queries_are_last);

// The shape of q, k and v; a size that is not known is 1. Of a decode trace: all its queries, and
// the keys at its end.
AttentionShape shape_of(const WorkloadSpec& spec) noexcept;

}  // namespace maskerade
