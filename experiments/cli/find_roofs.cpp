#include "experiments/cli/find_roofs.hpp"

#include <algorithm>
#include <new>
#include <string>

#include "experiments/cli/commands.hpp"
#include "experiments/measure/cache_file.hpp"
#include "experiments/measure/device_roof_file.hpp"
#include "framework/base/error.hpp"
#include "framework/tensor/cuda/device.hpp"

namespace maskerade {

std::optional<MachinePeaks> find_peaks(const Threads& threads) {
  try {
    return measure_peaks(threads);
  } catch (const std::bad_alloc&) {
    print_note("not enough memory to measure the read bandwidth: results have no attainable_ms");
    return std::nullopt;
  }
}

std::optional<DeviceRoofs> find_roofs(const Experiment& experiment, bool measures) {
  const auto& devices = experiment.devices;
  if (std::find(devices.begin(), devices.end(), "cuda") == devices.end() ||
      !cuda_device().is_available) {
    return std::nullopt;
  }
  const DeviceRoofFile file(cache_folder(), cuda_device().name);
  std::string problem;
  std::optional<DeviceRoofs> roofs = file.load(problem);
  if (!problem.empty()) print_note(problem + "; \"maskerade calibrate\" replaces it");
  if (roofs || !measures) return roofs;
  try {
    roofs = measure_device_roofs();
  } catch (const Error& error) {
    print_note(std::string("cells on cuda have no attainable_ms: ") + error.what());
    return std::nullopt;
  }
  try {
    file.save(*roofs);
  } catch (const ConfigError& error) {
    print_note(std::string("the device's roofs were measured, but could not be saved: ") +
               error.what());
  }
  return roofs;
}

}  // namespace maskerade
