#include "framework/tensor/cuda/device.hpp"

namespace maskerade {

const CudaDevice& cuda_device() noexcept {
  static const CudaDevice kNone{.reason =
                                    "this build has no CUDA backend: it was built without nvcc"};
  return kNone;
}

}  // namespace maskerade
