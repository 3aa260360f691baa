#include "experiments/config/workload_kind.hpp"

#include <cstdint>

#include "framework/base/error.hpp"

namespace maskerade {

std::optional<WorkloadKind> parse_workload_kind(std::string_view name) noexcept {
  if (name == "prefill") return WorkloadKind::kPrefill;
  if (name == "decode") return WorkloadKind::kDecode;
  return std::nullopt;
}

std::optional<WorkloadKind> kind_of(const WorkloadSpec& workload) {
  const auto of_length = [](std::int64_t query_len) {
    return query_len == 1 ? WorkloadKind::kDecode : WorkloadKind::kPrefill;
  };
  if (workload.decode_steps) return WorkloadKind::kDecode;
  if (workload.queries) return of_length(*workload.queries);
  if (workload.query_len) return of_length(*workload.query_len);
  const StoredSource* stored = workload.source->as_stored();
  if (stored == nullptr) return std::nullopt;
  try {
    return of_length(stored->query_len());
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace maskerade
