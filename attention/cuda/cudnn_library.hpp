#pragma once

#include <string>

namespace maskerade {

// Whether NVIDIA's cuDNN 9 is on this machine, and where. The environment variable MASKERADE_CUDNN
// names its file, or the folder that holds libcudnn.so.9; MASKERADE_CUDNN=none means that cuDNN is
// not to be used. Without the variable libcudnn.so.9 is looked for on the loader's path.
struct CudnnLibrary {
  bool is_found = false;
  std::string path;     // of the file; "" when none was opened
  std::string version;  // "9.19.0"; "" when it could not be asked
  std::string reason;   // a sentence for users that says why is_found is false
};
// Looks at the first call and returns the same afterwards. Never throws. [any thread]
const CudnnLibrary& cudnn_library() noexcept;

}  // namespace maskerade
