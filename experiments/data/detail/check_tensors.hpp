#pragma once

#include <optional>
#include <string>

#include "experiments/sources/source.hpp"
#include "framework/tensor/tensor.hpp"
#include "framework/tensor_files/tensor_layout.hpp"

namespace maskerade {

// Throws DataError unless the shapes and types of q, k and v fit together.
void check_tensors_fit(const StoredTensor& q, const StoredTensor& k, const StoredTensor& v);

// Throws DataError where the axes of q, k and v look like those of the other layout: where the keys
// have twice as many heads as tokens or more, or the query heads are as many as the keys are tokens
// and the queries as many as heads could be, unless the experiment or the file states the layout;
// and where the file states another one than they are read by.
void check_layout(const StoredData& data);

// Where a tensor holds a number that is not finite.
struct NotFinite {
  std::string index;      // of the element, in the layout's order of axes: "[1, 0, 4, 6]"
  const char* what = "";  // what it is: "NaN", "infinite"
};

// The first number that is not finite in a tensor, which must be contiguous in its layout; nullopt
// when all are finite.
std::optional<NotFinite> find_not_finite(const TensorView& tensor, TensorLayout layout);

}  // namespace maskerade
