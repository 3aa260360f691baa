#pragma once

#include <array>
#include <string>

#include "framework/tensor/tensor.hpp"
#include "framework/tensor_files/tensor_layout.hpp"

namespace maskerade {

// One of q, k, v as a message names it.
struct LoadedTensor {
  std::string file;
  std::string name;  // of the tensor in the file; empty for a file with one array
  Tensor tensor;
  TensorLayout layout = TensorLayout::kBhld;

  // What it is called beside others: its name, or its file's.
  std::string short_name() const;
};

// Throws DataError unless the shapes and types of q, k and v fit together.
void check_tensors_fit(const LoadedTensor& q, const LoadedTensor& k, const LoadedTensor& v);

// Throws DataError, with the index in the file's own order of axes, when an element is NaN or
// infinite. For a tensor that is contiguous in its layout.
void check_finite(const LoadedTensor& tensor);

}  // namespace maskerade
