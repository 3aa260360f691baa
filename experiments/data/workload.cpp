#include "experiments/data/workload.hpp"

#include <fmt/format.h>

#include <cmath>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "experiments/data/detail/sources.hpp"
#include "experiments/data/fingerprint.hpp"
#include "experiments/data/query_sample.hpp"
#include "framework/base/error.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {

std::vector<std::int64_t> choose_rows(const WorkloadSpec& spec, Workload& workload) {
  AttentionShape& shape = workload.shape;
  std::vector<std::int64_t> rows =
      sample_query_rows(spec.query_seed, shape.query_len, spec.queries.value_or(shape.query_len));
  if (static_cast<std::int64_t>(rows.size()) == shape.query_len) return rows;
  const std::int64_t first = shape.key_len - shape.query_len;
  if (first < 0 && workload.query_positions.empty()) {
    throw ConfigError(spec.position,
                      fmt::format("workload \"{}\" samples queries with query_len {} above key_len "
                                  "{}; sampled queries need positions among the keys",
                                  spec.name, shape.query_len, shape.key_len));
  }
  std::vector<std::int64_t> positions;
  for (const std::int64_t row : rows) {
    positions.push_back(workload.query_positions.empty()
                            ? first + row
                            : workload.query_positions[static_cast<std::size_t>(row)]);
  }
  workload.query_positions = std::move(positions);
  shape.query_len = static_cast<std::int64_t>(rows.size());
  return rows;
}

float choose_scale(const WorkloadSpec& spec, std::optional<float> of_file, std::int64_t head_dim) {
  if (spec.scale) return static_cast<float>(*spec.scale);
  if (of_file) return *of_file;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
}

void check_causal_lengths(const WorkloadSpec& spec, const Workload& workload) {
  if (workload.causal && workload.query_positions.empty() &&
      workload.shape.query_len > workload.shape.key_len) {
    throw ConfigError(spec.position,
                      fmt::format("workload \"{}\" is causal with query_len {} above key_len {}; a "
                                  "causal workload needs query_len <= key_len, or causal: false",
                                  spec.name, workload.shape.query_len, workload.shape.key_len));
  }
}

AttentionInputs Workload::inputs() const {
  const auto visibility = [&] {
    if (!query_positions.empty()) {
      return Visibility::at_positions(query_positions, shape.key_len, causal);
    }
    return causal ? Visibility::causal(shape.query_len, shape.key_len)
                  : Visibility::all(shape.query_len, shape.key_len);
  };
  return {.shape = shape,
          .q = q.view(),
          .k = k.view(),
          .v = v.view(),
          .scale = scale,
          .visibility = visibility(),
          .layer = layer};
}

Workload load_workload(const WorkloadSpec& spec) {
  Workload workload = std::visit(
      [&](const auto& source) {
        using Source = std::decay_t<decltype(source)>;
        if constexpr (std::is_same_v<Source, GaussianSource> ||
                      std::is_same_v<Source, StructuredSource>) {
          return generate_workload(spec, source);
        } else {
          Workload read = read_workload_files(spec, source);
          const std::int64_t query_len = read.shape.query_len;
          const std::vector<std::int64_t> rows = choose_rows(spec, read);
          if (read.shape.query_len < query_len) read.q = gather_rows(read.q.view(), rows);
          return read;
        }
      },
      spec.source);
  workload.fingerprint = data_fingerprint(workload.inputs(), Threads::all_processors());
  return workload;
}

}  // namespace maskerade
