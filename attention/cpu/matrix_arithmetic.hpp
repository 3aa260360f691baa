#pragma once

#include <cstdint>

#include "framework/tensor/dtype.hpp"

namespace maskerade {

// Products of bfloat16 numbers that the matrix unit in use takes for one product of attention in
// float32 arithmetic over this storage: the mean of those of q.k and of p.v. 0: it takes no part.
double matrix_products(DType dtype, std::int64_t head_dim);

// Lets the matrix unit in use multiply tiles in registers, `rounds` times; gives the flops. 0: none
// is in use.
double run_matrix_unit(std::int64_t rounds);

}  // namespace maskerade
