#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "experiments/data/detail/check_tensors.hpp"
#include "experiments/data/detail/metadata.hpp"
#include "experiments/data/detail/sources.hpp"
#include "framework/base/error.hpp"
#include "framework/tensor_files/npy.hpp"
#include "framework/tensor_files/safetensors.hpp"

namespace maskerade {
namespace {

// What the experiment states must agree with what the file holds.
void check_statements(const WorkloadSpec& spec, const Workload& workload) {
  const AttentionShape& shape = workload.shape;
  const std::array<std::pair<const char*, std::pair<std::optional<std::int64_t>, std::int64_t>>, 6>
      sizes = {{{"batch", {spec.batch, shape.batch}},
                {"query_heads", {spec.query_heads, shape.query_heads}},
                {"kv_heads", {spec.kv_heads, shape.kv_heads}},
                {"query_len", {spec.query_len, shape.query_len}},
                {"key_len", {spec.key_len, shape.key_len}},
                {"head_dim", {spec.head_dim, shape.head_dim}}}};
  const auto refuse = [&](const char* name, const std::string& stated, const std::string& held) {
    throw ConfigError(
        spec.position,
        fmt::format("workload \"{0}\" states {1} {2}, but {3} has {1} {4}; remove the "
                    "statement or change the file",
                    spec.name, name, stated, workload.source, held));
  };
  for (const auto& [name, values] : sizes) {
    const auto& [stated, held] = values;
    if (stated && *stated != held) refuse(name, std::to_string(*stated), std::to_string(held));
  }
  if (spec.dtype && *spec.dtype != workload.dtype) {
    refuse("dtype", std::string(name_of(*spec.dtype)), std::string(name_of(workload.dtype)));
  }
}

// Where query_positions come from, as messages name it.
struct Positions {
  std::string file;
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> values;
};

// A workload of three tensors that fit together.
Workload assemble(const WorkloadSpec& spec,
                  const std::string& source,
                  const LoadedTensor& q,
                  const LoadedTensor& k,
                  const LoadedTensor& v,
                  const std::optional<Positions>& positions) {
  check_tensors_fit(q, k, v);
  Workload workload;
  workload.source = source;
  workload.q = q.tensor;
  workload.k = k.tensor;
  workload.v = v.tensor;
  const TensorView& q_view = q.tensor.view();
  const TensorView& k_view = k.tensor.view();
  workload.dtype = q_view.dtype;
  workload.shape = {.batch = q_view.batch,
                    .query_heads = q_view.heads,
                    .kv_heads = k_view.heads,
                    .query_len = q_view.length,
                    .key_len = k_view.length,
                    .head_dim = q_view.dim};
  try {
    workload.shape.validate();
  } catch (const ShapeError& error) {
    throw DataError(q.file, "", error.what());
  }
  check_statements(spec, workload);
  if (positions) {
    if (positions->shape != std::vector<std::int64_t>{q_view.length}) {
      throw DataError(positions->file, positions->name,
                      fmt::format("its shape is [{}]; query_positions must be [{}], one number per "
                                  "query",
                                  fmt::join(positions->shape, ", "), q_view.length));
    }
    workload.query_positions = positions->values;
    try {
      Visibility::at_positions(workload.query_positions, k_view.length, false);
    } catch (const ShapeError& error) {
      throw DataError(positions->file, positions->name, error.what());
    }
  }
  for (const LoadedTensor* tensor : {&q, &k, &v}) check_finite(*tensor);
  return workload;
}

// Sets what both the experiment and a file may say; the experiment wins.
void complete(const WorkloadSpec& spec,
              std::optional<bool> causal,
              std::optional<float> scale,
              std::optional<std::int64_t> layer,
              Workload& workload) {
  workload.causal = spec.causal.value_or(causal.value_or(false));
  workload.scale = choose_scale(spec, scale, workload.shape.head_dim);
  workload.layer = layer.value_or(0);
  check_causal_lengths(spec, workload);
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
  const auto load = [&](const std::string& tensor) {
    return LoadedTensor{name, tensor, file.tensor(tensor, source.layout), source.layout};
  };
  const LoadedTensor q = load(source.query);
  const LoadedTensor k = load(source.key);
  const LoadedTensor v = load(source.value);
  Workload workload = assemble(spec, source.file.filename().string(), q, k, v,
                               find_positions(file, name, source, metadata));
  complete(spec, metadata.causal(), metadata.scale(),
           source.layer ? source.layer : metadata.layer(), workload);
  return workload;
}

Workload read_workload_files(const WorkloadSpec& spec, const NpySource& source) {
  const auto load = [&](const std::filesystem::path& file) {
    return LoadedTensor{file.string(), "", NpyFile::open(file).tensor(source.layout),
                        source.layout};
  };
  std::optional<Positions> positions;
  if (source.query_positions) {
    const NpyFile file = NpyFile::open(*source.query_positions);
    positions = {source.query_positions->string(), "", file.shape(), file.integers()};
  }
  const LoadedTensor q = load(source.query);
  const LoadedTensor k = load(source.key);
  const LoadedTensor v = load(source.value);
  Workload workload = assemble(spec, source.query.filename().string(), q, k, v, positions);
  complete(spec, std::nullopt, std::nullopt, source.layer, workload);
  return workload;
}

}  // namespace maskerade
