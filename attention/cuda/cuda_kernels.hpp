#pragma once

#include "attention/backend/kernel.hpp"

namespace maskerade {

// The rows of the CUDA backend in the table of kernels. There are none in a build without nvcc.
const Kernel& cuda_auto_kernel();   // rows below 16 queries, tiles from there on
const Kernel& cuda_cudnn_kernel();  // cuDNN's fused attention, for masks of every visible key
const Kernel& cuda_dense_kernel();  // every visible tile
const Kernel& cuda_tiles_kernel();  // the tiles that hold an active entry
const Kernel& cuda_rows_kernel();   // the active keys alone, gathered

}  // namespace maskerade
