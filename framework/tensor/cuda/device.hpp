#pragma once

#include <cstdint>
#include <string>

namespace maskerade {

// The CUDA device that this process uses: the first one. A build without nvcc has none.
struct CudaDevice {
  bool is_available = false;
  std::string reason;  // why it is not
  std::string name;    // "NVIDIA H200, sm_90, 132 multiprocessors, CUDA 13.0"
  std::int64_t l2_bytes = 0;
  int multiprocessors = 0;
  int compute_capability = 0;  // 90 for sm_90
  std::string pci_bus_id;      // "0000:1B:00.0"
  // Of CUDA, as 1000 * major + 10 * minor: what this program was linked with, and the newest that
  // the driver takes. 0: there is none.
  int runtime_version = 0;
  int driver_version = 0;
};
// Looks once and remembers. Never throws. [any thread]
const CudaDevice& cuda_device() noexcept;

}  // namespace maskerade
