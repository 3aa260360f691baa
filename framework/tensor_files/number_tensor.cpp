#include "framework/tensor_files/number_tensor.hpp"

#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "framework/base/error.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor_files/npy.hpp"
#include "framework/tensor_files/safetensors.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostAxes = 8;

// Elements of type Stored, wherever they lie, as Value.
template <typename Stored, typename Value>
std::vector<Value> load_values(std::span<const std::byte> bytes) {
  std::vector<Value> values(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = static_cast<Value>(stored);
  }
  return values;
}

std::vector<float> load_floats(DType dtype, std::span<const std::byte> bytes) {
  // Copied first: the elements may lie at any byte.
  std::vector<std::byte> aligned(bytes.begin(), bytes.end());
  std::vector<float> values(bytes.size() / size_of(dtype));
  convert_to_float(dtype, aligned.data(), values.size(), values.data());
  return values;
}

// The elements of a safetensors or npy type; monostate: a type that is not read.
struct NoValues {};
using Loaded = std::
    variant<NoValues, std::vector<float>, std::vector<std::int64_t>, std::vector<std::uint8_t>>;

Loaded load_typed(std::string_view type, std::span<const std::byte> bytes) {
  if (type == "F32" || type == "<f4") return load_floats(DType::kFloat32, bytes);
  if (type == "F16" || type == "<f2") return load_floats(DType::kFloat16, bytes);
  if (type == "BF16") return load_floats(DType::kBFloat16, bytes);
  if (type == "F64" || type == "<f8") return load_values<double, float>(bytes);
  if (type == "I64" || type == "<i8") return load_values<std::int64_t, std::int64_t>(bytes);
  if (type == "I32" || type == "<i4") return load_values<std::int32_t, std::int64_t>(bytes);
  if (type == "U8" || type == "BOOL" || type == "|u1" || type == "|b1") {
    return load_values<std::uint8_t, std::uint8_t>(bytes);
  }
  return NoValues{};
}

NumberTensor make_tensor(const std::string& file,
                         const std::string& name,
                         const std::vector<std::int64_t>& shape,
                         std::string_view type,
                         std::span<const std::byte> bytes) {
  NumberTensor tensor{shape, {}};
  Loaded loaded = load_typed(type, bytes);
  if (auto* floats = std::get_if<std::vector<float>>(&loaded)) {
    tensor.values = std::move(*floats);
  } else if (auto* integers = std::get_if<std::vector<std::int64_t>>(&loaded)) {
    tensor.values = std::move(*integers);
  } else if (auto* unsigned_bytes = std::get_if<std::vector<std::uint8_t>>(&loaded)) {
    tensor.values = std::move(*unsigned_bytes);
  } else {
    throw DataError(file, name,
                    fmt::format("its type is {}; it must be a float of 16, 32 or 64 bits, an "
                                "integer of 32 or 64 bits, an unsigned byte or a boolean",
                                type));
  }
  return tensor;
}

Json parse_json(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw DataError(file, "", "the file cannot be opened");
  Json json = Json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) throw DataError(file, "", "the file is not valid JSON");
  if (!json.is_object()) {
    throw DataError(file, "", "the file is not a JSON object of named lists of numbers");
  }
  return json;
}

// Nested arrays of numbers, checked for one shape.
class ListReader {
 public:
  ListReader(const std::string& file, const std::string& name) : file_(file), name_(name) {}

  NumberTensor read(const Json& json) {
    if (!json.is_array()) refuse("it is not a list of numbers");
    measure(json);
    add(json, 0);
    NumberTensor tensor{shape_, {}};
    if (whole_) {
      std::vector<std::int64_t> integers(values_.size());
      for (std::size_t i = 0; i < values_.size(); ++i) {
        integers[i] = static_cast<std::int64_t>(values_[i]);
      }
      tensor.values = std::move(integers);
    } else {
      tensor.values = std::vector<float>(values_.begin(), values_.end());
    }
    return tensor;
  }

 private:
  [[noreturn]] void refuse(const std::string& message) const {
    throw DataError(file_, name_, message);
  }
  void measure(const Json& json) {
    for (const Json* part = &json; part->is_array(); part = &part->front()) {
      shape_.push_back(static_cast<std::int64_t>(part->size()));
      if (part->empty()) refuse("it has an empty list");
      if (shape_.size() > kMostAxes) refuse(fmt::format("its lists nest over {} deep", kMostAxes));
    }
  }
  void add(const Json& json, std::size_t depth) {
    if (depth == shape_.size()) {
      if (!json.is_number()) refuse("it holds something that is not a number");
      // Whole numbers beyond 2^53 would be rounded here; no index is that large.
      whole_ = whole_ && json.is_number_integer();
      values_.push_back(json.get<double>());
      return;
    }
    if (!json.is_array() || static_cast<std::int64_t>(json.size()) != shape_[depth]) {
      refuse(
          fmt::format("its lists differ in length: one at depth {} does not have {} parts like "
                      "the first",
                      depth, shape_[depth]));
    }
    for (const Json& part : json) add(part, depth + 1);
  }

  const std::string& file_;
  const std::string& name_;
  std::vector<std::int64_t> shape_;
  std::vector<double> values_;
  bool whole_ = true;
};

[[noreturn]] void refuse_extension(const std::string& file) {
  throw DataError(file, "",
                  "its name must end in .safetensors, .npy or .json, which says how to read it");
}

}  // namespace

NumberTensor read_number_tensor(const std::filesystem::path& path, const std::string& name) {
  const std::string file = path.string();
  if (path.extension() == ".safetensors") {
    const SafetensorsFile tensors = SafetensorsFile::open(path);
    const SafetensorsEntry& entry = tensors.entry(name);
    return make_tensor(file, name, entry.shape, entry.dtype, tensors.bytes(entry));
  }
  if (path.extension() == ".npy") {
    const NpyFile array = NpyFile::open(path);
    if (!name.empty()) {
      throw DataError(file, name, "an npy file has one array without a name");
    }
    return make_tensor(file, name, array.shape(), array.descr(), array.bytes());
  }
  if (path.extension() == ".json") {
    const Json json = parse_json(file);
    const auto found = json.find(name);
    if (found == json.end()) {
      const std::string nearest = nearest_name(name, tensor_names(path));
      throw DataError(file, name,
                      "the file has no such key" +
                          (nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
    }
    return ListReader(file, name).read(*found);
  }
  refuse_extension(file);
}

std::vector<std::string> tensor_names(const std::filesystem::path& path) {
  std::vector<std::string> names;
  if (path.extension() == ".safetensors") {
    const SafetensorsFile tensors = SafetensorsFile::open(path);
    for (const SafetensorsEntry& entry : tensors.entries()) names.push_back(entry.name);
  } else if (path.extension() == ".json") {
    const Json json = parse_json(path.string());
    for (const auto& [key, value] : json.items()) names.push_back(key);
  } else if (path.extension() != ".npy") {
    refuse_extension(path.string());
  }
  return names;
}

}  // namespace maskerade
