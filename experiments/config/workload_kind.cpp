#include "experiments/config/workload_kind.hpp"

#include <cstdint>
#include <variant>

#include "framework/base/error.hpp"
#include "framework/tensor_files/npy.hpp"
#include "framework/tensor_files/safetensors.hpp"

namespace maskerade {
namespace {

struct QueryLength {
  std::int64_t operator()(const SafetensorsSource& source) const {
    return SafetensorsFile::open(source.file).describe(source.query, source.layout).length;
  }
  std::int64_t operator()(const NpySource& source) const {
    return NpyFile::open(source.query).describe(source.layout).length;
  }
  template <typename Generated>
  std::int64_t operator()(const Generated&) const {
    throw Error("a generated workload states its query_len");
  }
};

}  // namespace

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
  try {
    return of_length(std::visit(QueryLength{}, workload.source));
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace maskerade
