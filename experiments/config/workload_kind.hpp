#pragma once

#include <optional>
#include <string_view>

#include "experiments/config/experiment.hpp"

namespace maskerade {

// The kind that "prefill" or "decode" names; nullopt for another name.
std::optional<WorkloadKind> parse_workload_kind(std::string_view name) noexcept;

// The kind of a workload. Decode has one query at a time: query_len, or how many `queries` are
// drawn from it, is 1. Everything else is prefill. Where the experiment states neither, the header
// of the data file is read; nullopt when that cannot be read.
std::optional<WorkloadKind> kind_of(const WorkloadSpec& workload);

}  // namespace maskerade
