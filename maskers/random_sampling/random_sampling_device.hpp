#pragma once

#include <cstdint>

#include "framework/sdk/masker_abi.h"

namespace maskerade::random_sampling {

struct DeviceOptions {
  std::int64_t rate;  // an exact share: of sdk::kHundredPercent
  maskerade_value init_offset;
  maskerade_value local_offset;
};

// Adds each row's draw on the device.
void select_on_device(const maskerade_cuda_call& call, const DeviceOptions& options);

}  // namespace maskerade::random_sampling
