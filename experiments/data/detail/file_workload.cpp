#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/config/workload_rules.hpp"
#include "experiments/data/detail/check_tensors.hpp"
#include "experiments/data/detail/metadata.hpp"
#include "experiments/data/detail/sources.hpp"
#include "framework/base/error.hpp"
#include "framework/tensor_files/npy.hpp"
#include "framework/tensor_files/safetensors.hpp"

namespace maskerade {
namespace {

// What the experiment states must agree with what the file holds. The key_len of a decode trace is
// what its steps leave of the file's.
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

[[noreturn]] void refuse_trace(const WorkloadSpec& spec, const std::string& reason) {
  throw ConfigError(spec.position_of("decode"),
                    fmt::format("workload \"{}\" {}", spec.name, reason));
}

// A decode trace must find a query for each step, and a key more.
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

// The last queries of a decode trace's data must be those of its steps. Makes it causal.
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

// Where query_positions come from, as messages name it.
struct Positions {
  std::string file;
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> values;
};

// The workload with what the data says in the place of what the experiment leaves out.
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

// What a file says beside its tensors.
struct FileStatements {
  std::optional<bool> causal;
  std::optional<float> scale;
  std::optional<std::int64_t> layer;
  std::optional<Positions> positions;
};

std::vector<std::int64_t> check_positions(const Positions& positions, const AttentionShape& shape) {
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

Tensor read_finite(const FileTensor& tensor) {
  Tensor data = tensor.read();
  if (const auto bad = find_not_finite(data.view(), tensor.layout)) {
    throw DataError(
        tensor.file, tensor.name,
        fmt::format("element {} is {}; q, k and v must be finite", bad->index, bad->what));
  }
  return data;
}

// A workload of three tensors, once everything else is known to fit. What the experiment says of
// causality and scale wins over the file.
Workload assemble(const WorkloadSpec& spec,
                  const std::string& source,
                  const FileTensor& q,
                  const FileTensor& k,
                  const FileTensor& v,
                  const FileStatements& statements) {
  check_decode(spec);
  check_tensors_fit(q, k, v);
  Workload workload;
  workload.source = source;
  workload.dtype = q.description.dtype;
  workload.shape = {.batch = q.description.batch,
                    .query_heads = q.description.heads,
                    .kv_heads = k.description.heads,
                    .query_len = q.description.length,
                    .key_len = k.description.length,
                    .head_dim = q.description.dim};
  try {
    workload.shape.validate();
  } catch (const ShapeError& error) {
    throw DataError(q.file, "", error.what());
  }
  check_step_count(spec, workload);
  check_statements(spec, workload);
  if (statements.positions) {
    workload.query_positions = check_positions(*statements.positions, workload.shape);
  }
  workload.causal = spec.causal.value_or(statements.causal.value_or(false));
  if (spec.decode_steps) check_trace(spec, statements.causal, workload);
  workload.scale = choose_scale(spec, statements.scale, workload.shape.head_dim);
  workload.layer = statements.layer.value_or(0);
  workload.has_layer = statements.layer.has_value();
  check_sizes(with_data(spec, workload), workload.query_positions.empty());
  check_memory(spec, workload);
  workload.q = read_finite(q);
  workload.k = read_finite(k);
  workload.v = read_finite(v);
  return workload;
}

std::optional<Positions> find_positions(const SafetensorsFile& file,
                                        const std::string& name,
                                        const SafetensorsSource& source,
                                        const Metadata& metadata) {
  constexpr const char* kUsualName = "query_positions";
  const auto of_tensor = [&](const std::string& tensor) {
    return Positions{name, tensor, file.entry(tensor).shape, file.integers(tensor)};
  };
  if (source.query_positions) return of_tensor(*source.query_positions);
  if (file.contains(kUsualName)) return of_tensor(kUsualName);
  std::optional<std::vector<std::int64_t>> values = metadata.query_positions();
  if (!values) return std::nullopt;
  const auto count = static_cast<std::int64_t>(values->size());
  return Positions{name, kUsualName, {count}, std::move(*values)};
}

}  // namespace

Workload read_workload_files(const WorkloadSpec& spec, const SafetensorsSource& source) {
  const SafetensorsFile file = SafetensorsFile::open(source.file);
  const std::string name = source.file.string();
  const Metadata metadata(name, file.metadata());
  const auto find = [&](const std::string& tensor) {
    return FileTensor{name, tensor, source.layout, file.describe(tensor, source.layout),
                      [&file, &source, tensor] { return file.tensor(tensor, source.layout); }};
  };
  return assemble(spec, source.file.filename().string(), find(source.query), find(source.key),
                  find(source.value),
                  {.causal = metadata.causal(),
                   .scale = metadata.scale(),
                   .layer = source.layer ? source.layer : metadata.layer(),
                   .positions = find_positions(file, name, source, metadata)});
}

Workload read_workload_files(const WorkloadSpec& spec, const NpySource& source) {
  const auto find = [&](const std::filesystem::path& path) {
    const NpyFile file = NpyFile::open(path);
    return FileTensor{path.string(), "", source.layout, file.describe(source.layout),
                      [file, &source] { return file.tensor(source.layout); }};
  };
  FileStatements statements{.causal = {}, .scale = {}, .layer = source.layer, .positions = {}};
  if (source.query_positions) {
    const NpyFile file = NpyFile::open(*source.query_positions);
    statements.positions = {source.query_positions->string(), "", file.shape(), file.integers()};
  }
  return assemble(spec, source.query.filename().string(), find(source.query), find(source.key),
                  find(source.value), statements);
}

}  // namespace maskerade
