#include "experiments/run/workload_description.hpp"

namespace maskerade {

WorkloadDescription describe_workload(const Workload& workload) {
  const bool is_trace = workload.decode_steps > 0;
  return {.facts = {is_trace ? workload.prompt_shape() : workload.shape, workload.dtype,
                    workload.causal, workload.source, workload.layer, workload.scale},
          .layer = workload.has_layer ? std::optional(workload.layer) : std::nullopt,
          .fingerprint = workload.fingerprint};
}

}  // namespace maskerade
