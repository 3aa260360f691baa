#include "experiments/data/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/data/gaussian.hpp"
#include "experiments/data/safetensors.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

float default_scale(std::int64_t head_dim) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
}

std::int64_t require_size(const WorkloadSpec& spec,
                          const char* name,
                          const std::optional<std::int64_t>& size) {
  if (size) return *size;
  throw ConfigError(spec.position,
                    fmt::format("workload \"{}\" has no {}; a gaussian source takes its sizes from "
                                "the experiment file",
                                spec.name, name));
}

void check_causal_lengths(const WorkloadSpec& spec, const Workload& workload) {
  if (workload.causal && workload.shape.query_len > workload.shape.key_len) {
    throw ConfigError(spec.position,
                      fmt::format("workload \"{}\" is causal with query_len {} above key_len {}; a "
                                  "causal workload needs query_len <= key_len, or causal: false",
                                  spec.name, workload.shape.query_len, workload.shape.key_len));
  }
}

Workload generate(const WorkloadSpec& spec, const GaussianSource& source) {
  Workload workload;
  AttentionShape& shape = workload.shape;
  shape.query_heads = require_size(spec, "query_heads", spec.query_heads);
  shape.query_len = require_size(spec, "query_len", spec.query_len);
  shape.key_len = require_size(spec, "key_len", spec.key_len);
  shape.head_dim = require_size(spec, "head_dim", spec.head_dim);
  shape.batch = spec.batch.value_or(1);
  shape.kv_heads = spec.kv_heads.value_or(shape.query_heads);
  try {
    shape.validate();
  } catch (const ShapeError& error) {
    throw ConfigError(spec.position, fmt::format("workload \"{}\": {}", spec.name, error.what()));
  }
  workload.dtype = spec.dtype.value_or(DType::kFloat32);
  workload.causal = spec.causal.value_or(false);
  check_causal_lengths(spec, workload);
  workload.scale = spec.scale ? static_cast<float>(*spec.scale) : default_scale(shape.head_dim);
  workload.source = fmt::format("gaussian seed {}", source.seed);
  const auto generate_tensor = [&](GaussianTensor tensor, std::int64_t heads, std::int64_t length) {
    return gaussian_tensor(source.seed, tensor, workload.dtype, shape.batch, heads, length,
                           shape.head_dim);
  };
  workload.q = generate_tensor(GaussianTensor::kQuery, shape.query_heads, shape.query_len);
  workload.k = generate_tensor(GaussianTensor::kKey, shape.kv_heads, shape.key_len);
  workload.v = generate_tensor(GaussianTensor::kValue, shape.kv_heads, shape.key_len);
  return workload;
}

// A stored number is NaN or infinite when the bits of its exponent are all ones.
template <typename Word>
std::int64_t find_not_finite(const void* data, std::int64_t count, Word exponent) {
  const auto* words = static_cast<const Word*>(data);
  constexpr std::int64_t kBlock = 4096;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, count);
    bool found = false;
    for (std::int64_t i = begin; i < end; ++i) found |= (words[i] & exponent) == exponent;
    if (!found) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if ((words[i] & exponent) == exponent) return i;
    }
  }
  return -1;
}

// For a contiguous tensor.
void check_finite(const std::string& file, const std::string& name, const TensorView& tensor) {
  const std::int64_t count = tensor.batch * tensor.batch_stride;
  std::int64_t index = -1;
  switch (tensor.dtype) {
    case DType::kFloat32:
      index = find_not_finite<std::uint32_t>(tensor.data, count, 0x7F800000U);
      break;
    case DType::kFloat16:
      index = find_not_finite<std::uint16_t>(tensor.data, count, 0x7C00U);
      break;
    case DType::kBFloat16:
      index = find_not_finite<std::uint16_t>(tensor.data, count, 0x7F80U);
      break;
  }
  if (index < 0) return;
  const float value = load_float(tensor.dtype, tensor.data, static_cast<std::size_t>(index));
  throw DataError(
      file, name,
      fmt::format("element [{}, {}, {}, {}] is {}; q, k and v must be finite",
                  index / tensor.batch_stride, index / tensor.head_stride % tensor.heads,
                  index / tensor.row_stride % tensor.length, index % tensor.dim,
                  std::isnan(value) ? "NaN" : "infinite"));
}

std::string shape_text(const TensorView& tensor) {
  return fmt::format("[{}, {}, {}, {}]", tensor.batch, tensor.heads, tensor.length, tensor.dim);
}

// What the metadata of a file says of its attention.
class Metadata {
 public:
  Metadata(std::string file, const std::map<std::string, std::string>& texts)
      : file_(std::move(file)), texts_(texts) {}

  std::optional<bool> causal() const {
    const std::string* text = find("causal");
    if (text == nullptr) return std::nullopt;
    if (*text != "true" && *text != "false") refuse("causal", *text, "true or false");
    return *text == "true";
  }

  std::optional<float> scale() const {
    const std::string* text = find("scale");
    if (text == nullptr) return std::nullopt;
    const std::optional<double> value = parse<double>(*text);
    if (!value || !std::isfinite(*value) || *value <= 0) {
      refuse("scale", *text, "a number above 0");
    }
    return static_cast<float>(*value);
  }

  std::int64_t layer() const {
    const std::string* text = find("layer");
    if (text == nullptr) return 0;
    const std::optional<std::int64_t> value = parse<std::int64_t>(*text);
    if (!value || *value < 0 || *value > std::numeric_limits<std::int32_t>::max()) {
      refuse("layer", *text, "a whole number from 0");
    }
    return *value;
  }

 private:
  const std::string* find(const std::string& key) const {
    const auto found = texts_.find(key);
    return found == texts_.end() ? nullptr : &found->second;
  }

  template <typename Number>
  static std::optional<Number> parse(std::string_view text) {
    Number value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
  }

  [[noreturn]] void refuse(const char* key, const std::string& text, const char* form) const {
    throw DataError(file_, "",
                    fmt::format("__metadata__ \"{}\" is \"{}\"; it must be {}", key, text, form));
  }

  std::string file_;
  const std::map<std::string, std::string>& texts_;
};

void check_tensors_fit(const std::string& file,
                       const SafetensorsSource& source,
                       const Workload& workload) {
  const TensorView& q = workload.q.view();
  const TensorView& k = workload.k.view();
  const TensorView& v = workload.v.view();
  const std::string shapes =
      fmt::format("{} is {}, {} is {}", source.query, shape_text(q), source.key, shape_text(k));
  if (k.batch != v.batch || k.heads != v.heads || k.length != v.length || k.dim != v.dim) {
    throw DataError(file, source.value,
                    fmt::format("its shape is {}, that of {} is {}; keys and values must have the "
                                "same shape",
                                shape_text(v), source.key, shape_text(k)));
  }
  if (q.batch != k.batch || q.dim != k.dim) {
    throw DataError(
        file, source.query,
        fmt::format("{}; queries and keys must have the same batch and head_dim", shapes));
  }
  if (q.heads % k.heads != 0) {
    throw DataError(file, source.query,
                    fmt::format("{}; the query heads must be a multiple of the key heads", shapes));
  }
  for (const auto& [name, tensor] : {std::pair(source.key, k), std::pair(source.value, v)}) {
    if (tensor.dtype != q.dtype) {
      throw DataError(file, name,
                      fmt::format("its type is {}, that of {} is {}; all three must be the same",
                                  name_of(tensor.dtype), source.query, name_of(q.dtype)));
    }
  }
}

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

Workload load(const WorkloadSpec& spec, const SafetensorsSource& source) {
  const SafetensorsFile file = SafetensorsFile::open(source.file);
  const std::string name = source.file.string();
  const Metadata metadata(name, file.metadata());
  Workload workload;
  workload.source = source.file.filename().string();
  workload.q = file.tensor(source.query);
  workload.k = file.tensor(source.key);
  workload.v = file.tensor(source.value);
  check_tensors_fit(name, source, workload);
  const TensorView& q = workload.q.view();
  const TensorView& k = workload.k.view();
  workload.dtype = q.dtype;
  workload.shape = {.batch = q.batch,
                    .query_heads = q.heads,
                    .kv_heads = k.heads,
                    .query_len = q.length,
                    .key_len = k.length,
                    .head_dim = q.dim};
  try {
    workload.shape.validate();
  } catch (const ShapeError& error) {
    throw DataError(name, "", error.what());
  }
  check_statements(spec, workload);
  workload.layer = metadata.layer();
  workload.causal = spec.causal.value_or(metadata.causal().value_or(false));
  check_causal_lengths(spec, workload);
  const float scale = metadata.scale().value_or(default_scale(q.dim));
  workload.scale = spec.scale ? static_cast<float>(*spec.scale) : scale;
  check_finite(name, source.query, q);
  check_finite(name, source.key, k);
  check_finite(name, source.value, workload.v.view());
  return workload;
}

}  // namespace

AttentionInputs Workload::inputs() const {
  return {.shape = shape,
          .q = q.view(),
          .k = k.view(),
          .v = v.view(),
          .scale = scale,
          .visibility = causal ? Visibility::causal(shape.query_len, shape.key_len)
                               : Visibility::all(shape.query_len, shape.key_len),
          .layer = layer};
}

Workload load_workload(const WorkloadSpec& spec) {
  if (const auto* gaussian = std::get_if<GaussianSource>(&spec.source)) {
    return generate(spec, *gaussian);
  }
  return load(spec, std::get<SafetensorsSource>(spec.source));
}

}  // namespace maskerade
