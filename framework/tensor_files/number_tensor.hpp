#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

namespace maskerade {

// Numbers of any shape, the last axis fastest: floating-point ones rounded or widened to float32,
// whole ones widened to 64 bits, and bytes (8-bit unsigned and booleans) as they are.
struct NumberTensor {
  std::vector<std::int64_t> shape;
  std::variant<std::vector<float>, std::vector<std::int64_t>, std::vector<std::uint8_t>> values;
};

// Reads one tensor of a file by the file's extension: of a .safetensors file the tensor of that
// name; of a .json file the nested arrays of numbers under that key of the top-level object, floats
// if one of them is; of an .npy file, which has one array, that array, and name must be "".
// Throws DataError when the file cannot be read, has no such tensor, or holds another type or a
// number beyond float32 or 64 bits; a list whose parts differ in length is no tensor.
NumberTensor read_number_tensor(const std::filesystem::path& file, const std::string& name);

// The names of a file's tensors; none for an npy file. Throws DataError as above.
std::vector<std::string> tensor_names(const std::filesystem::path& file);

}  // namespace maskerade
