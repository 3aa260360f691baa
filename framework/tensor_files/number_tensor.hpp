#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

namespace maskerade {

// A tensor of numbers of any shape, in row-major order. Floating-point numbers are widened or
// rounded to float32, integers are widened to 64 bits, unsigned bytes and booleans stay as they
// are.
struct NumberTensor {
  std::vector<std::int64_t> shape;
  std::variant<std::vector<float>, std::vector<std::int64_t>, std::vector<std::uint8_t>> values;
};

// Reads one tensor of a file. The file's extension says how: `.safetensors` has the tensor of that
// name; `.json` has an object, and `name` is the key of nested arrays of numbers, which are floats
// if one of them is; `.npy` has a single array, and `name` must be "". Throws DataError when the
// extension is another, when the file cannot be read or has no such tensor, when its type is none
// of the above, when a number is beyond float32 or 64 bits, or when nested arrays differ in length.
NumberTensor read_number_tensor(const std::filesystem::path& file, const std::string& name);

// The names of a file's tensors; none for an .npy file, whose array has no name. Throws DataError
// as read_number_tensor() does.
std::vector<std::string> tensor_names(const std::filesystem::path& file);

}  // namespace maskerade
