#include "attention/cuda/cudnn_library.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "attention/cuda/detail/cudnn_functions.hpp"
#include "framework/base/error.hpp"
#include "framework/base/system_library.hpp"

namespace maskerade {
#if MASKERADE_HAS_CUDNN_HEADERS
namespace {

constexpr const char* kName = "libcudnn.so.9";
constexpr const char* kVariable = "MASKERADE_CUDNN";
constexpr std::size_t kOldestVersion = 90000;
constexpr std::size_t kNextMajor = 100000;

// cuDNN as it was found, and its functions; they are null unless library.is_found.
struct CudnnBinding {
  CudnnLibrary library;
  cuda::CudnnFunctions functions;
};

// Sets the functions of `to`; false when the library lacks one that is needed.
bool find_functions(const SystemLibrary& from, cuda::CudnnFunctions& to) {
  static_cast<void>(from.find("cudnnGetLastErrorString", to.get_last_error_string));
  return from.find("cudnnGetVersion", to.get_version) &&
         from.find("cudnnGetErrorString", to.get_error_string) &&
         from.find("cudnnCreate", to.create) && from.find("cudnnDestroy", to.destroy) &&
         from.find("cudnnSetStream", to.set_stream) &&
         from.find("cudnnBackendCreateDescriptor", to.create_descriptor) &&
         from.find("cudnnBackendDestroyDescriptor", to.destroy_descriptor) &&
         from.find("cudnnBackendFinalize", to.finalize) &&
         from.find("cudnnBackendSetAttribute", to.set_attribute) &&
         from.find("cudnnBackendGetAttribute", to.get_attribute) &&
         from.find("cudnnBackendExecute", to.execute);
}

CudnnBinding find_library() {
  CudnnBinding found;
  CudnnLibrary& library = found.library;
  const char* variable = std::getenv(kVariable);
  const std::string wanted = variable == nullptr ? "" : variable;
  if (wanted == "none") {
    library.reason = fmt::format("{} is none", kVariable);
    return found;
  }
  std::error_code ignored;
  const std::string name = wanted.empty() ? kName
                           : std::filesystem::is_directory(wanted, ignored)
                               ? (std::filesystem::path(wanted) / kName).string()
                               : wanted;
  const SystemLibrary opened = SystemLibrary::open({name});
  if (!opened.is_open()) {
    library.reason = fmt::format("cuDNN was not found: {}; set {} to the folder that holds {}",
                                 opened.problem(), kVariable, kName);
    return found;
  }
  library.path = opened.path();
  if (!find_functions(opened, found.functions)) {
    library.reason =
        fmt::format("{} lacks functions of cuDNN 9's graph interface; it is damaged or not cuDNN 9",
                    library.path);
    return found;
  }
  const std::size_t version = found.functions.get_version();
  library.version = fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
  if (version < kOldestVersion || version >= kNextMajor) {
    library.reason =
        fmt::format("{} is cuDNN {}; cuDNN 9 is needed", library.path, library.version);
    return found;
  }
  library.is_found = true;
  return found;
}

const CudnnBinding& found_library() noexcept {
  static const CudnnBinding kFound = find_library();
  return kFound;
}

}  // namespace

const CudnnLibrary& cudnn_library() noexcept { return found_library().library; }

namespace cuda {

const CudnnFunctions& cudnn_functions() {
  const CudnnBinding& found = found_library();
  if (!found.library.is_found) throw Error(found.library.reason);
  return found.functions;
}

void CudnnFunctions::check(cudnnStatus_t status, const char* call) const {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::string message =
      fmt::format("{}: {} ({})", call, get_error_string(status), static_cast<int>(status));
  std::array<char, 512> last = {};
  if (get_last_error_string != nullptr) get_last_error_string(last.data(), last.size() - 1);
  std::string detail = last.data();
  detail.erase(detail.find_last_not_of(" \n") + 1);
  if (!detail.empty()) message += ": " + detail;
  throw Error(message);
}

}  // namespace cuda
#else

const CudnnLibrary& cudnn_library() noexcept {
  static const CudnnLibrary kNone{
      .reason = "this build cannot call cuDNN: it was built without cudnn_graph.h"};
  return kNone;
}

#endif
}  // namespace maskerade
