#pragma once

#include <functional>
#include <optional>
#include <string>

#include "framework/tensor/tensor.hpp"
#include "framework/tensor_files/tensor_layout.hpp"

namespace maskerade {

// One of q, k, v in a file.
struct FileTensor {
  std::string file;
  std::string name;  // of the tensor in the file; empty for a file with one array
  TensorLayout layout = TensorLayout::kBhld;
  TensorView description;        // without data
  std::function<Tensor()> read;  // throws DataError

  // What it is called beside others: its name, or its file's.
  std::string short_name() const;
};

// Throws DataError unless the shapes and types of q, k and v fit together.
void check_tensors_fit(const FileTensor& q, const FileTensor& k, const FileTensor& v);

// An element that is NaN or infinite.
struct NotFinite {
  std::string index;      // "[1, 0, 4, 6]", in the layout's order of axes
  const char* what = "";  // "NaN", "infinite"
};

// The first one of a tensor that is contiguous in its layout.
std::optional<NotFinite> find_not_finite(const TensorView& tensor, TensorLayout layout);

}  // namespace maskerade
