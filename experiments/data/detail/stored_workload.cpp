#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/config/workload_rules.hpp"
#include "experiments/data/detail/check_tensors.hpp"
#include "experiments/data/detail/source_loaders.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// Throws ConfigError where the experiment states another size or type than the files hold. The
// key_len that it states of a decode trace is that of the keys before the first step.
void check_statements(const WorkloadSpec& spec, const Workload& workload) {
  AttentionShape shape = workload.shape;
  if (spec.decode_steps) {
    shape.query_len = 1;
    shape.key_len -= *spec.decode_steps;
  }
  const std::array<std::pair<const char*, std::pair<std::optional<std::int64_t>, std::int64_t>>, 6>
      sizes = {{{"batch", {spec.batch, shape.batch}},
                {"query_heads", {spec.query_heads, shape.query_heads}},
                {"kv_heads", {spec.kv_heads, shape.kv_heads}},
                {"query_len", {spec.query_len, shape.query_len}},
                {"key_len", {spec.key_len, shape.key_len}},
                {"head_dim", {spec.head_dim, shape.head_dim}}}};
  const auto refuse = [&](const char* name, const std::string& stated, const std::string& held) {
    throw ConfigError(
        spec.position_of(name),
        fmt::format("workload \"{0}\" states {1} {2}, but {3} has {1} {4}; remove the "
                    "statement or change the file",
                    spec.name, name, stated, workload.source, held));
  };
  for (const auto& [name, values] : sizes) {
    const auto& [stated, held] = values;
    if (!stated || *stated == held) continue;
    refuse(name, std::to_string(*stated),
           std::to_string(held) + (name == std::string_view("key_len") && spec.decode_steps
                                       ? fmt::format(" before {} decode steps", *spec.decode_steps)
                                       : ""));
  }
  if (spec.dtype && *spec.dtype != workload.dtype) {
    refuse("dtype", std::string(name_of(*spec.dtype)), std::string(name_of(workload.dtype)));
  }
}

// Throws DataError where a file says another size of its tensors than they have as they are read,
// unless the experiment states that size itself.
void check_stored_sizes(const WorkloadSpec& spec,
                        const StoredData& data,
                        const Workload& workload) {
  struct Held {
    std::optional<std::int64_t> stated;
    std::int64_t size = 0;
    const StoredTensor* tensor = nullptr;
  };
  const AttentionShape& shape = workload.shape;
  const std::map<std::string, Held> held = {
      {"batch", {spec.batch, shape.batch, &data.q}},
      {"query_heads", {spec.query_heads, shape.query_heads, &data.q}},
      {"kv_heads", {spec.kv_heads, shape.kv_heads, &data.k}},
      {"query_len", {spec.query_len, shape.query_len, &data.q}},
      {"key_len", {spec.key_len, shape.key_len, &data.k}},
      {"head_dim", {spec.head_dim, shape.head_dim, &data.q}}};
  for (const StoredSize& said : data.sizes) {
    const Held& of = held.at(said.size);
    if (of.size == said.value || of.stated) continue;
    throw DataError(
        of.tensor->file, of.tensor->name,
        fmt::format("__metadata__ \"{0}\" is {1}, but as {2} the tensor has {3} {4}; "
                    "state the layout of the axes in the source, or {3}: {4} in the "
                    "workload where the tensor is right, or correct the metadata",
                    said.name, said.value, name_of(of.tensor->layout), said.size, of.size));
  }
}

[[noreturn]] void refuse_trace(const WorkloadSpec& spec, const std::string& reason) {
  throw ConfigError(spec.position_of("decode"),
                    fmt::format("workload \"{}\" {}", spec.name, reason));
}

// Throws ConfigError unless the files of a decode trace hold a query and a key for each step, and a
// key before the first.
void check_step_count(const WorkloadSpec& spec, const Workload& workload) {
  const std::int64_t steps = spec.decode_steps.value_or(0);
  const auto refuse = [&](const std::string& reason) {
    refuse_trace(spec,
                 fmt::format("has {} decode steps, but {} has {}", steps, workload.source, reason));
  };
  if (steps > workload.shape.query_len) {
    refuse(fmt::format("{} queries; each step needs one", workload.shape.query_len));
  }
  if (steps >= workload.shape.key_len) {
    refuse(fmt::format("{} keys; each step appends one, and one must be there before",
                       workload.shape.key_len));
  }
}

// Makes a decode trace causal. Throws ConfigError when the last queries of its files do not stand
// at the last positions, or when the files say that their attention is not causal and the
// experiment does not insist.
void check_trace(const WorkloadSpec& spec, std::optional<bool> causal_of_file, Workload& workload) {
  const std::int64_t steps = *spec.decode_steps;
  const AttentionShape& shape = workload.shape;
  for (std::int64_t i = 1; i <= steps && !workload.query_positions.empty(); ++i) {
    const std::int64_t position =
        workload.query_positions[static_cast<std::size_t>(shape.query_len - i)];
    if (position == shape.key_len - i) continue;
    refuse_trace(spec,
                 fmt::format("has {} decode steps, which need the last {} positions; query {} of "
                             "{} stands at {}, not at {}",
                             steps, steps, shape.query_len - i, workload.source, position,
                             shape.key_len - i));
  }
  if (!spec.causal && !causal_of_file.value_or(true)) {
    refuse_trace(spec, fmt::format("is a decode trace, which is causal, but {} says that it is "
                                   "not; write causal: true to attend so all the same",
                                   workload.source));
  }
  workload.causal = true;
}

// What the experiment says, with the sizes and the causality of the data.
WorkloadSpec with_data(const WorkloadSpec& spec, const Workload& workload) {
  WorkloadSpec known = spec;
  known.batch = workload.shape.batch;
  known.query_heads = workload.shape.query_heads;
  known.kv_heads = workload.shape.kv_heads;
  known.query_len = workload.shape.query_len;
  known.key_len = workload.shape.key_len;
  known.head_dim = workload.shape.head_dim;
  known.causal = workload.causal;
  known.decode_steps.reset();  // the sizes are those of the file
  return known;
}

// The values of stored positions. Throws DataError when they do not fit the shape.
std::vector<std::int64_t> check_positions(const StoredPositions& positions,
                                          const AttentionShape& shape) {
  if (positions.shape != std::vector<std::int64_t>{shape.query_len}) {
    throw DataError(positions.file, positions.name,
                    fmt::format("its shape is [{}]; query_positions must be [{}], one number per "
                                "query",
                                fmt::join(positions.shape, ", "), shape.query_len));
  }
  try {
    Visibility::at_positions(positions.values, shape.key_len, false);
  } catch (const ShapeError& error) {
    throw DataError(positions.file, positions.name, error.what());
  }
  return positions.values;
}

Tensor read_finite(const StoredTensor& tensor) {
  Tensor data = tensor.read();
  if (const auto bad = find_not_finite(data.view(), tensor.layout)) {
    throw DataError(
        tensor.file, tensor.name,
        fmt::format("element {} is {}; q, k and v must be finite", bad->index, bad->what));
  }
  return data;
}

}  // namespace

Workload read_stored_workload(const WorkloadSpec& spec, const StoredSource& source) {
  const StoredData data = source.open();
  check_decode(spec);
  check_layout(data);
  check_tensors_fit(data.q, data.k, data.v);
  Workload workload;
  workload.source = source.describe().name;
  workload.dtype = data.q.description.dtype;
  workload.shape = {.batch = data.q.description.batch,
                    .query_heads = data.q.description.heads,
                    .kv_heads = data.k.description.heads,
                    .query_len = data.q.description.length,
                    .key_len = data.k.description.length,
                    .head_dim = data.q.description.dim};
  try {
    workload.shape.validate();
  } catch (const ShapeError& error) {
    throw DataError(data.q.file, "", error.what());
  }
  check_step_count(spec, workload);
  check_statements(spec, workload);
  check_stored_sizes(spec, data, workload);
  if (data.positions) workload.query_positions = check_positions(*data.positions, workload.shape);
  // What the experiment says of causality and scale wins over the file.
  workload.causal = spec.causal.value_or(data.causal.value_or(false));
  if (spec.decode_steps) check_trace(spec, data.causal, workload);
  workload.scale = choose_scale(spec, data.scale, workload.shape.head_dim);
  workload.layer = data.layer.value_or(0);
  if (data.rope) workload.rope = std::make_shared<const Rope>(*data.rope);
  workload.has_layer = data.layer.has_value();
  check_sizes(with_data(spec, workload), workload.query_positions.empty());
  check_memory(spec, workload.shape, workload.dtype);
  workload.q = read_finite(data.q);
  workload.k = read_finite(data.k);
  workload.v = read_finite(data.v);
  return workload;
}

}  // namespace maskerade
