#include "attention/cuda/cuda_backend.hpp"
#include "attention/cuda/device_roofs.hpp"
#include "framework/tensor/cuda/device.hpp"

// A build without nvcc has no CUDA backend: everything says why.
namespace maskerade {

std::unique_ptr<Backend> open_cuda_backend(const AttentionInputs&, const CudaOptions&) {
  throw UnavailableError(cuda_device().reason);
}

DeviceRoofs measure_device_roofs() { throw UnavailableError(cuda_device().reason); }

}  // namespace maskerade
