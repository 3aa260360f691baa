#include "attention/cuda/cudnn_library.hpp"

namespace maskerade {

const CudnnLibrary& cudnn_library() noexcept {
  static const CudnnLibrary kNone{.reason =
                                      "this build has no CUDA backend: it was built without nvcc"};
  return kNone;
}

}  // namespace maskerade
