#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "attention/cuda/device_roofs.hpp"

namespace maskerade {

// The file in a cache folder that keeps the roofs of one device, as this version of the program
// measured them.
class DeviceRoofFile {
 public:
  // folder: where the file lies, see cache_folder(). "": there is none; then load() finds nothing
  // and save() throws. device: CudaDevice::name.
  DeviceRoofFile(std::filesystem::path folder, std::string device);

  // The file's path, whose name holds a hash of the device and the version; "" without a folder.
  const std::filesystem::path& path() const noexcept { return path_; }

  // Reads the roofs. nullopt: there is no file, or it cannot be used. `problem` becomes the reason
  // why a file that exists cannot be used, else "".
  std::optional<DeviceRoofs> load(std::string& problem) const;
  // Writes the file. Throws ConfigError when it cannot be written.
  void save(const DeviceRoofs& roofs) const;

 private:
  std::string device_;
  std::filesystem::path path_;
};

}  // namespace maskerade
