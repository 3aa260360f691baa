#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "attention/cuda/device_roofs.hpp"

namespace maskerade {

// The roofs of one device, measured by this version of the program, that a cache folder holds.
class DeviceRoofFile {
 public:
  // In `folder`; "" when there is none, see cache_folder. device: CudaDevice::name.
  DeviceRoofFile(std::filesystem::path folder, std::string device);

  // "" without a folder. The name holds a hash of device and version.
  const std::filesystem::path& path() const noexcept { return path_; }

  // nullopt when there is no file, or when it cannot be used: `problem` then says why.
  std::optional<DeviceRoofs> load(std::string& problem) const;
  // Throws ConfigError when it cannot be written.
  void save(const DeviceRoofs& roofs) const;

 private:
  std::string device_;
  std::filesystem::path path_;
};

}  // namespace maskerade
