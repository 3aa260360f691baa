#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "experiments/data/workload.hpp"
#include "experiments/results/cell_result.hpp"

namespace maskerade {

// What is known of a workload once its data is there, without the data.
struct WorkloadDescription {
  WorkloadFacts facts;
  std::optional<std::int64_t> layer;  // where the experiment or the file states it
  std::string fingerprint;            // of the data
};

WorkloadDescription describe_workload(const Workload& workload);

}  // namespace maskerade
