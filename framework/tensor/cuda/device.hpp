#pragma once

#include <cstdint>
#include <string>

namespace maskerade {

// The CUDA device that this process uses: the first one that CUDA lists. A build without nvcc has
// none.
struct CudaDevice {
  bool is_available = false;
  std::string reason;         // why it is not available; "" when it is
  std::string name;           // "NVIDIA H200, sm_90, 132 multiprocessors, CUDA 13.0"
  std::int64_t l2_bytes = 0;  // size of the second-level cache
  int multiprocessors = 0;
  int compute_capability = 0;  // 90 for sm_90
  std::string pci_bus_id;      // "0000:1B:00.0"
  // Versions of CUDA as 1000 * major + 10 * minor: that of the runtime this program was linked
  // with, and the newest that the installed driver supports. 0: there is none.
  int runtime_version = 0;
  int driver_version = 0;
};
// The device as it was found by the first call. Never throws. [any thread]
const CudaDevice& cuda_device() noexcept;

}  // namespace maskerade
