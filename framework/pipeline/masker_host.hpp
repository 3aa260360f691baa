#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "framework/sdk/masker_abi.h"
#include "framework/tensor/rope.hpp"
#include "framework/tensor_files/number_tensor.hpp"

namespace maskerade {

// The key of a masker instance's random numbers, and what it may look at.
struct MaskerIdentity {
  std::uint64_t seed = 0;
  std::uint32_t place = 0;  // the masker's number in the pipeline, from 0
  std::int64_t layer = 0;
  std::uint32_t depends_on = 0;                // MASKERADE_DEPENDS_*: what the masker may read
  std::shared_ptr<const Rope> rope = nullptr;  // see AttentionInputs
};

// The services that one masker instance may use for as long as it lives, in its index functions
// too: the tensors of its files, random numbers, and arithmetic over rows. [any thread]
class MaskerHost {
 public:
  explicit MaskerHost(const MaskerIdentity& identity);
  MaskerHost(const MaskerHost&) = delete;
  MaskerHost& operator=(const MaskerHost&) = delete;

  const maskerade_host* c_host() const noexcept { return &c_host_; }
  // Why a function refused that has no buffer for a text; "" when none did. The same text whichever
  // function refused first, so that it does not depend on threads.
  std::string refusal() const;

 private:
  friend struct MaskerHostFunctions;  // the C functions over this class

  // Reads the tensor at the first call; it lives as long as this object.
  const NumberTensor& tensor(const std::string& file, const std::string& name);

  MaskerIdentity identity_;
  maskerade_rope c_rope_{};
  maskerade_host c_host_{};
  std::atomic<bool> has_refused_random_numbers_ = false;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, NumberTensor> tensors_;
};

}  // namespace maskerade
