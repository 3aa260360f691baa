// The input is "r" and a file, or "f", a header in one line and the data: then the header's length
// is put before it. Every file is loaded or refused with a DataError, or where it contradicts the
// experiment a ConfigError.
#include <string>
#include <string_view>

#include "experiments/data/workload.hpp"
#include "framework/tensor_files/safetensors.hpp"
#include "tests/experiments/sources/source_for_test.hpp"
#include "tests/fuzz/memory_file.hpp"
#include "tests/fuzz/read_tensor.hpp"

namespace {

using namespace maskerade;

std::string file_of(std::string_view input) {
  if (input.empty() || input.front() != 'f') return std::string(input.substr(!input.empty()));
  input.remove_prefix(1);
  const std::string_view header = input.substr(0, input.find('\n'));
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i) & 0xFFU);
  file += header;
  return file += input.substr(std::min(input.size(), header.size() + 1));
}

void read_tensors(const SafetensorsFile& file) {
  for (const SafetensorsEntry& entry : file.entries()) {
    for (const TensorLayout layout : {TensorLayout::kBhld, TensorLayout::kBlhd}) {
      try {
        read_every_element(file.tensor(entry.name, layout));
      } catch (const DataError&) {
      }
    }
    try {
      file.integers(entry.name);
    } catch (const DataError&) {
    }
  }
}

void load(const std::string& path, const std::string& layout) {
  try {
    load_workload(
        {.name = "workload",
         .label = "workload",
         .source = source_of("{kind: safetensors, file: " + path + ", layout: " + layout + "}")});
  } catch (const DataError&) {
  } catch (const ConfigError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile file(file_of({reinterpret_cast<const char*>(data), size}));
  try {
    read_tensors(SafetensorsFile::open(file.path()));
  } catch (const DataError&) {
  }
  load(file.path().string(), "bhld");
  load(file.path().string(), "blhd");
  return 0;
}
