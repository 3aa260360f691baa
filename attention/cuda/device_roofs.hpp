#pragma once

#include <string>

namespace maskerade {

// The highest rates that the device's memory, second-level cache and matrix units reach: the roofs
// of a roofline model.
struct DeviceRoofs {
  double copy_bytes_per_second = 0;     // bytes read and bytes written by a copy within memory
  double l2_read_bytes_per_second = 0;  // of data that lies in the second-level cache
  double matrix_flops_per_second = 0;   // bfloat16 products of random numbers, float32 sums
  std::string matrix_source;            // how they were multiplied: "cuBLASLt", or "mma.sync"
};

// Measures the roofs of the device of cuda_device(), each as the best of several timings; takes
// about a second and 0.4 GB of its memory. Throws CudaError, and Error where there is no device.
DeviceRoofs measure_device_roofs();

}  // namespace maskerade
