#pragma once

#include <optional>
#include <string>

namespace maskerade {

// NVML, NVIDIA's management library, as this process found it. It is the file that the environment
// variable MASKERADE_NVML names, else libnvidia-ml.so.1 on the dynamic loader's path.
struct NvmlLibrary {
  bool is_found = false;
  std::string path;            // of the file
  std::string driver_version;  // "580.95.05"
  std::string reason;          // why it is not found or cannot be used
};
// Looks for the library on the first call, and returns the same object on every call. Never throws.
// [any thread]
const NvmlLibrary& nvml_library() noexcept;

// The state of a device at one moment.
struct DeviceClocks {
  double sm_mhz = 0;
  double memory_mhz = 0;
  double temperature_celsius = 0;
  // What kept the clocks below their maximum: "none", names joined by commas ("power cap,
  // thermal"), or "not told" when the driver does not say.
  std::string throttle_reasons;
};

// Reads the clocks of the device at a PCI address ("0000:3b:00.0"). nullopt: NVML is not found, or
// one of the readings fails.
std::optional<DeviceClocks> read_device_clocks(const std::string& pci_bus_id);

}  // namespace maskerade
