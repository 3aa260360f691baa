#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "framework/sdk/masker_abi.h"
#include "framework/tensor_files/number_tensor.hpp"

namespace maskerade {

// Whose host it is.
struct MaskerPlace {
  std::uint64_t seed = 0;
  std::uint32_t place = 0;  // of the masker in the pipeline
  std::int64_t layer = 0;
  std::uint32_t depends_on = 0;  // MASKERADE_DEPENDS_*: what it may look at
};

// What one masker instance may use for as long as it lives, its index functions included: the
// tensors of its files, random numbers, and arithmetic over rows. [any thread]
class MaskerHost {
 public:
  explicit MaskerHost(const MaskerPlace& place);
  MaskerHost(const MaskerHost&) = delete;
  MaskerHost& operator=(const MaskerHost&) = delete;

  const maskerade_host* c_host() const noexcept { return &c_host_; }

 private:
  friend struct MaskerHostFunctions;  // the C functions over this class

  const NumberTensor& tensor(const std::string& file, const std::string& name);

  MaskerPlace place_;
  maskerade_host c_host_{};
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, NumberTensor> tensors_;
};

}  // namespace maskerade
