#pragma once

#include <optional>
#include <string_view>

#include "experiments/config/experiment.hpp"

namespace maskerade {

// "prefill" or "decode".
std::optional<WorkloadKind> parse_workload_kind(std::string_view name) noexcept;

// Decode: one query at a time, so that query_len, or `queries` drawn from it, is 1. Prefill:
// everything else. The header of a data file is read where the experiment does not say; nullopt
// when it cannot be.
std::optional<WorkloadKind> kind_of(const WorkloadSpec& workload);

}  // namespace maskerade
