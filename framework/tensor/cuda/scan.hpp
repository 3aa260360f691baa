#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace maskerade {

// Enqueues in the stream: replaces each of values[0 .. count), in device memory, by the sum of
// those before it. Throws CudaError.
void exclusive_sum_on_device(std::int64_t* values, std::int64_t count, cudaStream_t stream);

}  // namespace maskerade
