#pragma once

#include "attention/backend/kernel.hpp"

namespace maskerade {

// The rows of the CPU backend in the table of kernels. All attend by one blocked online softmax in
// float32 and differ in what they plan to read.
const Kernel& cpu_auto_kernel();   // for each tile row the one that is predicted to be the fastest
const Kernel& cpu_dense_kernel();  // every visible tile
const Kernel& cpu_tiles_kernel();  // the tiles that hold an active entry
const Kernel& cpu_rows_kernel();   // the active keys alone, gathered

}  // namespace maskerade
