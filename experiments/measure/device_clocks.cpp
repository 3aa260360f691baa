#include "experiments/measure/device_clocks.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "framework/base/system_library.hpp"

namespace maskerade {
namespace {

// The part of NVML's interface that is called, with the values that nvml.h gives it.
using Device = struct nvmlDevice_st*;
using Status = int;
constexpr Status kSuccess = 0;
constexpr int kSmClock = 1;
constexpr int kMemoryClock = 2;
constexpr int kGpuTemperature = 0;

constexpr std::array<std::pair<unsigned long long, const char*>, 9> kThrottleReasons = {
    {{0x1, "idle"},
     {0x2, "applications clocks"},
     {0x4, "power cap"},
     {0x8, "hardware slowdown"},
     {0x10, "sync boost"},
     {0x20, "thermal"},
     {0x40, "hardware thermal"},
     {0x80, "power brake"},
     {0x100, "display clocks"}}};

struct Functions {
  Status (*init)() = nullptr;
  Status (*driver_version)(char*, unsigned) = nullptr;
  Status (*device_at)(const char*, Device*) = nullptr;
  Status (*clock)(Device, int, unsigned*) = nullptr;
  Status (*temperature)(Device, int, unsigned*) = nullptr;
  Status (*throttle_reasons)(Device, unsigned long long*) = nullptr;
};

// NVML and its functions; they are null when it is not found.
struct Nvml {
  NvmlLibrary library;
  Functions functions;
};

Nvml find_nvml() {
  Nvml found;
  const char* variable = std::getenv("MASKERADE_NVML");
  const SystemLibrary opened =
      SystemLibrary::open({variable == nullptr ? "libnvidia-ml.so.1" : variable});
  if (!opened.is_open()) {
    found.library.reason = "no NVML: " + opened.problem();
    return found;
  }
  found.library.path = opened.path();
  Functions& to = found.functions;
  if (!opened.find("nvmlInit_v2", to.init) ||
      !opened.find("nvmlSystemGetDriverVersion", to.driver_version) ||
      !opened.find("nvmlDeviceGetHandleByPciBusId_v2", to.device_at) ||
      !opened.find("nvmlDeviceGetClockInfo", to.clock) ||
      !opened.find("nvmlDeviceGetTemperature", to.temperature) ||
      // The first is the function's name since driver 535, the second the name before.
      (!opened.find("nvmlDeviceGetCurrentClocksEventReasons", to.throttle_reasons) &&
       !opened.find("nvmlDeviceGetCurrentClocksThrottleReasons", to.throttle_reasons))) {
    found.library.reason =
        found.library.path + " lacks functions of NVML; install the driver's own libnvidia-ml.so.1";
    return found;
  }
  if (const Status status = to.init(); status != kSuccess) {
    found.library.reason =
        fmt::format("{}: nvmlInit fails with status {}", found.library.path, status);
    return found;
  }
  std::array<char, 96> version = {};
  if (to.driver_version(version.data(), static_cast<unsigned>(version.size())) == kSuccess) {
    found.library.driver_version = version.data();
  }
  found.library.is_found = true;
  return found;
}

const Nvml& nvml() noexcept {
  static const Nvml kNvml = find_nvml();
  return kNvml;
}

std::string throttle_text(unsigned long long reasons) {
  std::string text;
  for (const auto& [bit, name] : kThrottleReasons) {
    if ((reasons & bit) == 0) continue;
    text += (text.empty() ? "" : ", ") + std::string(name);
    reasons &= ~bit;
  }
  if (reasons != 0) text += fmt::format("{}0x{:x}", text.empty() ? "" : ", ", reasons);
  return text.empty() ? "none" : text;
}

}  // namespace

const NvmlLibrary& nvml_library() noexcept { return nvml().library; }

std::optional<DeviceClocks> read_device_clocks(const std::string& pci_bus_id) {
  const auto& [library, functions] = nvml();
  if (!library.is_found) return std::nullopt;
  Device device = nullptr;
  unsigned sm = 0;
  unsigned memory = 0;
  unsigned temperature = 0;
  unsigned long long reasons = 0;
  if (functions.device_at(pci_bus_id.c_str(), &device) != kSuccess ||
      functions.clock(device, kSmClock, &sm) != kSuccess ||
      functions.clock(device, kMemoryClock, &memory) != kSuccess ||
      functions.temperature(device, kGpuTemperature, &temperature) != kSuccess) {
    return std::nullopt;
  }
  const bool has_reasons = functions.throttle_reasons(device, &reasons) == kSuccess;
  return DeviceClocks{static_cast<double>(sm), static_cast<double>(memory),
                      static_cast<double>(temperature),
                      has_reasons ? throttle_text(reasons) : "not told"};
}

}  // namespace maskerade
