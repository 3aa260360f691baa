#pragma once

#include <string>

namespace maskerade {

// NVIDIA's cuDNN as this process finds it: the file, or libcudnn.so.9 in the folder, that the
// environment variable MASKERADE_CUDNN names; without it, libcudnn.so.9 on the loader's path.
// MASKERADE_CUDNN=none looks for none.
struct CudnnLibrary {
  bool is_found = false;
  std::string path;     // of the file
  std::string version;  // "9.19.0"
  std::string reason;   // why it is not found
};
// Looks once and remembers. Never throws. [any thread]
const CudnnLibrary& cudnn_library() noexcept;

}  // namespace maskerade
