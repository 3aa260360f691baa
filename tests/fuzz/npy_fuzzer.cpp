// The input is "r" and a file, or a version (1, 2 or 3), a header in one line and the data: then
// magic, version and the header's length are put before it. Every file is loaded or refused with a
// DataError, or where it contradicts the experiment a ConfigError.
#include <string>
#include <string_view>

#include "experiments/data/workload.hpp"
#include "framework/tensor_files/npy.hpp"
#include "tests/experiments/sources/source_for_test.hpp"
#include "tests/fuzz/memory_file.hpp"
#include "tests/fuzz/read_tensor.hpp"

namespace {

using namespace maskerade;

std::string file_of(std::string_view input) {
  if (input.empty() || input.front() < '1' || input.front() > '3') {
    return std::string(input.substr(!input.empty()));
  }
  const int version = input.front() - '0';
  input.remove_prefix(1);
  const std::string header(input.substr(0, input.find('\n') + 1));
  std::string file = "\x93NUMPY";
  file += static_cast<char>(version);
  file += '\0';
  const int length_bytes = version == 1 ? 2 : 4;
  for (int i = 0; i < length_bytes; ++i) {
    file += static_cast<char>(header.size() >> (8 * i) & 0xFFU);
  }
  file += header;
  return file += input.substr(header.size());
}

void read_array(const NpyFile& file) {
  for (const TensorLayout layout : {TensorLayout::kBhld, TensorLayout::kBlhd}) {
    try {
      read_every_element(file.tensor(layout));
    } catch (const DataError&) {
    }
  }
  try {
    file.integers();
  } catch (const DataError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile file(file_of({reinterpret_cast<const char*>(data), size}));
  try {
    read_array(NpyFile::open(file.path()));
    const std::string path = file.path().string();
    load_workload({.name = "workload",
                   .label = "workload",
                   .source = source_of("{kind: npy, query: " + path + ", key: " + path +
                                       ", value: " + path + "}")});
  } catch (const DataError&) {
  } catch (const ConfigError&) {
  }
  return 0;
}
