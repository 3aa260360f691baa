#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/data/workload.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/sources/source_for_test.hpp"
#include "tests/framework/tensor_files/safetensors_for_test.hpp"

namespace maskerade {

struct TensorText {
  std::string name;
  std::vector<std::int64_t> shape;
  DType dtype = DType::kFloat32;
  std::vector<float> values = {};  // empty: ones
};

// Writes x.safetensors with these tensors and this metadata.
inline void write_tensors(const DataFolder& folder,
                          const std::vector<TensorText>& tensors,
                          const std::string& metadata = "") {
  std::string header = "{" + metadata;
  std::string data;
  for (const TensorText& tensor : tensors) {
    std::int64_t count = 1;
    std::string shape;
    for (const std::int64_t size : tensor.shape) {
      count *= size;
      shape += (shape.empty() ? "" : ",") + std::to_string(size);
    }
    const std::size_t begin = data.size();
    data += bytes_of(tensor.dtype, tensor.values.empty()
                                       ? std::vector<float>(static_cast<std::size_t>(count), 1.0F)
                                       : tensor.values);
    const std::string type = tensor.dtype == DType::kFloat32   ? "F32"
                             : tensor.dtype == DType::kFloat16 ? "F16"
                                                               : "BF16";
    if (header.size() > 1) header += ",";
    header += "\"" + tensor.name + R"(":{"dtype":")" + type + R"(","shape":[)" + shape +
              R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(data.size()) +
              "]}";
  }
  folder.write(header + "}", data);
}

// Of x.safetensors, which must be there. `keys` are added to the source: "layout: blhd".
inline WorkloadSpec file_spec(const DataFolder& folder, const std::string& keys = "") {
  WorkloadSpec spec;
  spec.name = "w";
  spec.position = {"x.yaml", 2, 1};
  const std::string mapping = "{kind: safetensors, file: x.safetensors, " + keys + "}";
  spec.source = source_of(mapping, folder.path());
  return spec;
}

// The error that loading gives, without the folder's name; "accepted" when there is none.
inline std::string load_error(const DataFolder& folder, const WorkloadSpec& spec) {
  try {
    load_workload(spec);
  } catch (const Error& error) {
    return folder.shorten(error.what());
  }
  return "accepted";
}

}  // namespace maskerade
