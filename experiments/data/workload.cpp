#include "experiments/data/workload.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <new>
#include <numeric>
#include <utility>
#include <vector>

#include "experiments/data/detail/source_loaders.hpp"
#include "experiments/data/fingerprint.hpp"
#include "experiments/data/query_sample.hpp"
#include "framework/base/error.hpp"
#include "framework/base/parallel.hpp"
#include "framework/base/process_limits.hpp"

namespace maskerade {

std::vector<std::int64_t> choose_rows(const WorkloadSpec& spec, Workload& workload) {
  AttentionShape& shape = workload.shape;
  if (spec.decode_steps) {
    std::vector<std::int64_t> last(static_cast<std::size_t>(*spec.decode_steps));
    std::iota(last.begin(), last.end(), shape.query_len - *spec.decode_steps);
    workload.query_positions.clear();
    shape.query_len = *spec.decode_steps;
    return last;
  }
  std::vector<std::int64_t> rows =
      sample_query_rows(spec.query_seed, shape.query_len, spec.queries.value_or(shape.query_len));
  if (static_cast<std::int64_t>(rows.size()) == shape.query_len) return rows;
  const std::int64_t first = shape.key_len - shape.query_len;
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
  if (spec.scale) return *spec.scale;
  if (of_file) return *of_file;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
}

void check_memory(const WorkloadSpec& spec, const AttentionShape& shape, DType dtype) {
  const auto bytes = [](std::int64_t rows, std::int64_t dim, std::size_t element_bytes) {
    return static_cast<std::uint64_t>(rows * dim) * element_bytes;
  };
  const std::size_t stored = size_of(dtype);
  const std::uint64_t needed =
      bytes(shape.rows(), shape.head_dim, stored + sizeof(float)) +
      bytes(shape.batch * shape.kv_heads * shape.key_len, shape.head_dim, 2 * stored);
  const ProcessLimits limits = process_limits();
  const std::uint64_t memory = limits.memory_bytes;
  // Rationale: the system ends a process that goes beyond its control group's limit, and a run
  // needs memory besides its data. On a whole machine there may be swap.
  const std::uint64_t usable = limits.memory_is_of_control_group ? memory / 5 * 4 : memory;
  if (needed <= usable) return;
  constexpr double kGigabyte = 1e9;
  throw ConfigError(
      spec.position,
      fmt::format(
          "workload \"{}\" has {} bytes of q, k, v and output ({:.1f} GB); {} a memory of {} "
          "({:.1f} GB){}",
          spec.name, needed, static_cast<double>(needed) / kGigabyte,
          limits.memory_is_of_control_group
              ? "the control group of this process (its container) allows"
              : "this machine has",
          memory, static_cast<double>(memory) / kGigabyte,
          limits.memory_is_of_control_group ? ", four fifths of it for these" : ""));
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
          .layer = layer,
          .rope = rope};
}

AttentionShape Workload::prompt_shape() const noexcept {
  AttentionShape prompt = shape;
  prompt.query_len = 1;
  prompt.key_len -= decode_steps;
  return prompt;
}

namespace {

// One query of `whole`, which is causal, and its first `key_len` keys; the query stands at the last
// of them.
AttentionInputs part_of(const AttentionInputs& whole, std::int64_t query, std::int64_t key_len) {
  AttentionInputs part = whole;
  part.shape.query_len = 1;
  part.shape.key_len = key_len;
  part.q.data = whole.q.row(0, 0, query);
  part.q.length = 1;
  part.k.length = key_len;
  part.v.length = key_len;
  part.visibility = Visibility::causal(1, key_len);
  return part;
}

}  // namespace

AttentionInputs Workload::prompt_inputs() const {
  return part_of(inputs(), 0, shape.key_len - decode_steps);
}

AttentionInputs Workload::step_inputs(std::int64_t step) const {
  return part_of(inputs(), step, shape.key_len - decode_steps + step + 1);
}

namespace {

// Reads a workload and leaves out the queries that the experiment does not ask for.
Workload read_rows(const WorkloadSpec& spec, const StoredSource& source) {
  Workload workload = read_stored_workload(spec, source);
  const std::int64_t query_len = workload.shape.query_len;
  const std::vector<std::int64_t> rows = choose_rows(spec, workload);
  if (workload.shape.query_len < query_len) workload.q = gather_rows(workload.q.view(), rows);
  return workload;
}

Workload make_workload(const WorkloadSpec& spec) {
  const GeneratedSource* generated = spec.source->as_generated();
  Workload workload = generated == nullptr ? read_rows(spec, *spec.source->as_stored())
                                           : generate_workload(spec, *generated);
  workload.decode_steps = spec.decode_steps.value_or(0);
  workload.fingerprint = data_fingerprint(workload.inputs(), Threads::all_processors());
  return workload;
}

}  // namespace

Workload load_workload(const WorkloadSpec& spec) {
  try {
    return make_workload(spec);
  } catch (const std::bad_alloc&) {
    throw ConfigError(spec.position,
                      fmt::format("workload \"{}\": there is not enough memory for its data; make "
                                  "it smaller",
                                  spec.name));
  }
}

}  // namespace maskerade
