#pragma once

#include "framework/sdk/masker_abi.h"

namespace maskerade::sink {

// Adds the first `tokens` keys on the device.
void select_on_device(const maskerade_cuda_call& call, const maskerade_value& tokens);

}  // namespace maskerade::sink
