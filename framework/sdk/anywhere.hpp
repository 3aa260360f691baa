// Marks a function that compiles for the host and, under nvcc, for the device as well.
#pragma once

#if defined(__CUDACC__)
#define MASKERADE_SDK_ANYWHERE __host__ __device__ inline
#else
#define MASKERADE_SDK_ANYWHERE inline
#endif
