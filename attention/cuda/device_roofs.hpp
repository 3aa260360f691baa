#pragma once

#include <string>

namespace maskerade {

// What the device's memory, its second-level cache and its matrix units give: the roofs of what
// runs there.
struct DeviceRoofs {
  double copy_bytes_per_second = 0;     // read and written, from memory to memory
  double l2_read_bytes_per_second = 0;  // of what lies in the second-level cache
  double matrix_flops_per_second = 0;   // bfloat16 products of random numbers, added in float32
  std::string matrix_source;            // what multiplied: "cuBLASLt", or "mma.sync" in registers
};

// Measures them on the device of cuda_device(), each as the median of several timings: about a
// second. Throws CudaError, and Error where there is no device.
DeviceRoofs measure_device_roofs();

}  // namespace maskerade
