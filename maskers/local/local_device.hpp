#pragma once

#include "framework/sdk/masker_abi.h"

namespace maskerade::local {

// Adds the `window` keys that end at each query on the device.
void select_on_device(const maskerade_cuda_call& call, const maskerade_value& window);

}  // namespace maskerade::local
