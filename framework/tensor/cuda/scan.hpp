#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace maskerade {

// values[i] becomes the sum of values[0 ... i), in place, in device memory; enqueued in the stream.
void exclusive_sum_on_device(std::int64_t* values, std::int64_t count, cudaStream_t stream);

}  // namespace maskerade
