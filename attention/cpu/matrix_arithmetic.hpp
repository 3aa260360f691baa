#pragma once

#include <cstdint>

#include "framework/tensor/dtype.hpp"

namespace maskerade {

// How many bfloat16 products the matrix unit in use performs for one product of attention over q, k
// and v of this dtype: the mean over the products of q.k and those of weight and value. Greater
// than 1 because numbers are split into bfloat16 pieces (see detail/matrix_operands.hpp). 0 when no
// matrix unit is in use or vectors are faster for this head_dim.
double matrix_products(DType dtype, std::int64_t head_dim);

// Keeps the matrix unit in use busy with `rounds` rounds of products of tiles in registers, for a
// caller that times it, and returns their floating-point operations. Returns 0 at once when no
// matrix unit is in use.
double run_matrix_unit(std::int64_t rounds);

}  // namespace maskerade
