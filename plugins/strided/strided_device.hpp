#pragma once

#include <cstdint>

#include "framework/sdk/masker_abi.h"

namespace strided {

// Adds every stride-th key from `offset` on, on the device.
void select_on_device(const maskerade_cuda_call& call, std::int64_t stride, std::int64_t offset);

}  // namespace strided
