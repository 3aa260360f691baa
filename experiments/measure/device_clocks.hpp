#pragma once

#include <optional>
#include <string>

namespace maskerade {

// NVIDIA's management library as this process finds it: the file that the environment variable
// MASKERADE_NVML names, else libnvidia-ml.so.1 on the loader's path.
struct NvmlLibrary {
  bool is_found = false;
  std::string path;            // of the file
  std::string driver_version;  // "580.95.05"
  std::string reason;          // why it is not found
};
// Looks once and remembers. Never throws. [any thread]
const NvmlLibrary& nvml_library() noexcept;

// The state of a device at one moment.
struct DeviceClocks {
  double sm_mhz = 0;
  double memory_mhz = 0;
  double temperature_celsius = 0;
  // What held the clocks down: "none", names with commas ("power cap, thermal"), or "not told".
  std::string throttle_reasons;
};

// Of the device at a PCI address; nullopt where the library or a reading is not to be had.
std::optional<DeviceClocks> read_device_clocks(const std::string& pci_bus_id);

}  // namespace maskerade
