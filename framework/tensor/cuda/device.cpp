#include "framework/tensor/cuda/device.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <array>

#include "framework/tensor/cuda/device_code.hpp"

namespace maskerade {
namespace {

// The oldest major compute capability whose instructions the kernels can do without others: 8 was
// the first with mma on bfloat16 and cp.async.
constexpr int kOldestMajor = 8;

std::string error_text(cudaError_t code) {
  return fmt::format("CUDA error {} ({})", static_cast<int>(code), cudaGetErrorString(code));
}

CudaDevice find_device() {
  CudaDevice device;
  if (cudaRuntimeGetVersion(&device.runtime_version) != cudaSuccess) device.runtime_version = 0;
  if (cudaDriverGetVersion(&device.driver_version) != cudaSuccess) device.driver_version = 0;
  int count = 0;
  cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaSuccess && count == 0) code = cudaErrorNoDevice;
  cudaDeviceProp properties = {};
  if (code == cudaSuccess) code = cudaGetDeviceProperties(&properties, 0);
  if (code != cudaSuccess) {
    // Clears CUDA's record of the error, so that the check of the first launch does not report it.
    static_cast<void>(cudaGetLastError());
    device.reason = "there is no CUDA device: " + error_text(code);
    return device;
  }
  device.name = fmt::format("{}, sm_{}{}, {} multiprocessors, CUDA {}.{}", properties.name,
                            properties.major, properties.minor, properties.multiProcessorCount,
                            device.runtime_version / 1000, device.runtime_version % 1000 / 10);
  if (properties.major < kOldestMajor) {
    device.reason = fmt::format("{} is older than the kernels, which need sm_{}0 or newer",
                                device.name, kOldestMajor);
    return device;
  }
  code = find_device_code();
  if (code != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    const bool is_absent =
        code == cudaErrorNoKernelImageForDevice || code == cudaErrorInvalidDeviceFunction;
    device.reason = is_absent
                        ? fmt::format(
                              "this build has no kernels for sm_{}{}: it is {}; build with its "
                              "number in CMAKE_CUDA_ARCHITECTURES",
                              properties.major, properties.minor, device.name)
                        : fmt::format("{} cannot be used: {}", device.name, error_text(code));
    return device;
  }
  device.is_available = true;
  device.l2_bytes = properties.l2CacheSize;
  device.multiprocessors = properties.multiProcessorCount;
  std::array<char, 32> bus_id = {};
  if (cudaDeviceGetPCIBusId(bus_id.data(), static_cast<int>(bus_id.size()), 0) == cudaSuccess) {
    device.pci_bus_id = bus_id.data();
  }
  device.compute_capability = 10 * properties.major + properties.minor;
  // Keeps freed memory in CUDA's pool, so that allocating it again needs no call of the driver.
  cudaMemPool_t pool = nullptr;
  if (cudaDeviceGetDefaultMemPool(&pool, 0) == cudaSuccess) {
    std::uint64_t keep = ~std::uint64_t{0};
    static_cast<void>(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
  }
  static_cast<void>(
      cudaGetLastError());  // clears the error of a device without pools, which works too
  return device;
}

}  // namespace

const CudaDevice& cuda_device() noexcept {
  static const CudaDevice kDevice = find_device();
  return kDevice;
}

}  // namespace maskerade
