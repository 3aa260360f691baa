#include "framework/tensor_files/number_tensor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>

#include "framework/base/error.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor_files/npy.hpp"
#include "framework/tensor_files/safetensors.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostAxes = 8;

// The index of an element as error messages show it, "[0, 17]". `element` is its row-major number.
std::string index_text(const std::vector<std::int64_t>& shape, std::size_t element) {
  std::vector<std::int64_t> index(shape.size());
  auto rest = static_cast<std::int64_t>(element);
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = rest % shape[axis];
    rest /= shape[axis];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

// Converts the values of one tensor. Its errors name the file and the tensor.
class ValueReader {
 public:
  ValueReader(const std::string& file,
              const std::string& name,
              const std::vector<std::int64_t>& shape)
      : file_(file), name_(name), shape_(shape) {}

  [[noreturn]] void refuse(const std::string& message) const {
    throw DataError(file_, name_, message);
  }

  // The numbers rounded to float32. Throws DataError when a finite one is beyond its range.
  std::vector<float> round(const std::vector<double>& numbers) const {
    std::vector<float> values(numbers.begin(), numbers.end());
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::isinf(values[i]) && !std::isinf(numbers[i])) {
        refuse(fmt::format("element {} is {}, beyond the range of float32", index_text(shape_, i),
                           numbers[i]));
      }
    }
    return values;
  }

  // The tensor whose elements are `bytes`, of a type as safetensors or npy files spell it. Throws
  // DataError when the type is none that is read.
  NumberTensor read(std::string_view type, const std::vector<std::byte>& bytes) const {
    NumberTensor tensor{shape_, {}};
    if (type == "F32" || type == "<f4") {
      tensor.values = widen(DType::kFloat32, bytes);
    } else if (type == "F16" || type == "<f2") {
      tensor.values = widen(DType::kFloat16, bytes);
    } else if (type == "BF16") {
      tensor.values = widen(DType::kBFloat16, bytes);
    } else if (type == "F64" || type == "<f8") {
      tensor.values = round(load<double, double>(bytes));
    } else if (type == "I64" || type == "<i8") {
      tensor.values = load<std::int64_t, std::int64_t>(bytes);
    } else if (type == "I32" || type == "<i4") {
      tensor.values = load<std::int32_t, std::int64_t>(bytes);
    } else if (type == "U8" || type == "BOOL" || type == "|u1" || type == "|b1") {
      tensor.values = load<std::uint8_t, std::uint8_t>(bytes);
    } else {
      refuse(
          fmt::format("its type is {}; it must be a float of 16, 32 or 64 bits, an integer of "
                      "32 or 64 bits, an unsigned byte or a boolean",
                      type));
    }
    return tensor;
  }

 private:
  template <typename Stored, typename Value>
  static std::vector<Value> load(const std::vector<std::byte>& bytes) {
    std::vector<Value> values(bytes.size() / sizeof(Stored));
    for (std::size_t i = 0; i < values.size(); ++i) {
      Stored stored;
      std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
      values[i] = static_cast<Value>(stored);
    }
    return values;
  }

  static std::vector<float> widen(DType dtype, const std::vector<std::byte>& bytes) {
    std::vector<float> values(bytes.size() / size_of(dtype));
    convert_to_float(dtype, bytes.data(), values.size(), values.data());
    return values;
  }

  const std::string& file_;
  const std::string& name_;
  const std::vector<std::int64_t>& shape_;
};

Json parse_json(const std::string& file) {
  std::error_code ignored;
  // Rationale: opening a pipe waits for its writer.
  if (!std::filesystem::is_regular_file(file, ignored) && std::filesystem::exists(file, ignored)) {
    throw DataError(file, "", "this is no regular file");
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw DataError(file, "", "the file cannot be opened");
  const Json json = Json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) throw DataError(file, "", "the file is not valid JSON");
  if (!json.is_object()) {
    throw DataError(file, "", "the file is not a JSON object of named lists of numbers");
  }
  return json;
}

// Reads nested JSON arrays of numbers as a tensor. Throws DataError when they do not have one
// shape.
class ListReader {
 public:
  ListReader(const std::string& file, const std::string& name) : values_(file, name, shape_) {}

  NumberTensor read(const Json& json) {
    if (!json.is_array()) values_.refuse("it is not a list of numbers");
    measure(json);
    add(json, 0);
    const bool whole = std::all_of(numbers_.begin(), numbers_.end(),
                                   [](const Json* number) { return number->is_number_integer(); });
    if (whole) return {shape_, integers()};
    std::vector<double> floats;
    for (const Json* number : numbers_) floats.push_back(number->get<double>());
    return {shape_, values_.round(floats)};
  }

 private:
  // Finds the shape from the first element of each list.
  void measure(const Json& json) {
    for (const Json* part = &json; part->is_array(); part = &part->front()) {
      shape_.push_back(static_cast<std::int64_t>(part->size()));
      if (part->empty()) values_.refuse("it has an empty list");
      if (shape_.size() > kMostAxes) {
        values_.refuse(fmt::format("its lists nest over {} deep", kMostAxes));
      }
    }
  }
  // Collects the numbers of one nested list, which must have the shape from axis `depth` on.
  void add(const Json& json, std::size_t depth) {
    if (depth == shape_.size()) {
      if (!json.is_number()) values_.refuse("it holds something that is not a number");
      numbers_.push_back(&json);
      return;
    }
    if (!json.is_array() || static_cast<std::int64_t>(json.size()) != shape_[depth]) {
      values_.refuse(
          fmt::format("its lists differ in length: one at depth {} does not have {} parts like "
                      "the first",
                      depth, shape_[depth]));
    }
    for (const Json& part : json) add(part, depth + 1);
  }
  std::vector<std::int64_t> integers() const {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    std::vector<std::int64_t> integers;
    for (const Json* number : numbers_) {
      if (number->is_number_unsigned() && number->get<std::uint64_t>() > kMost) {
        values_.refuse(fmt::format("element {} is {}; the largest whole number is {}",
                                   index_text(shape_, integers.size()),
                                   number->get<std::uint64_t>(), kMost));
      }
      integers.push_back(number->get<std::int64_t>());
    }
    return integers;
  }

  std::vector<std::int64_t> shape_;
  ValueReader values_;  // refers to shape_
  std::vector<const Json*> numbers_;
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
    return ValueReader(file, name, entry.shape).read(entry.dtype, tensors.read_bytes(entry));
  }
  if (path.extension() == ".npy") {
    const NpyFile array = NpyFile::open(path);
    if (!name.empty()) {
      throw DataError(file, name, "an npy file has one array without a name");
    }
    return ValueReader(file, name, array.shape()).read(array.descr(), array.read_bytes());
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
