#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::cuda {

// q, k and v of a sequence that lies on the device, for maskers that run on the host.
class HostCopy {
 public:
  // key_room: keys that the sequence is going to have.
  explicit HostCopy(std::int64_t key_room) : key_room_(key_room) {}

  // The inputs with tensors in host memory: themselves where they lie there, otherwise copies. The
  // queries and the keys that are new since the last call are copied; keys stay where they are, so
  // that what was given before remains true. Waits. Throws UnavailableError when a sequence on the
  // device outgrows the room.
  AttentionInputs view(const AttentionInputs& inputs, cudaStream_t stream);

 private:
  // Rows [first, length) of a tensor on the device, in `bytes` with heads `room` rows apart.
  static TensorView copy(const TensorView& tensor,
                         std::int64_t first,
                         std::int64_t room,
                         std::vector<std::byte>& bytes,
                         cudaStream_t stream);

  std::int64_t key_room_;
  std::int64_t copied_keys_ = 0;
  std::vector<std::byte> q_, k_, v_;
};

}  // namespace maskerade::cuda
