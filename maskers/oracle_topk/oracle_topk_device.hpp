#pragma once

#include <cstdint>

#include "framework/sdk/masker_abi.h"

namespace maskerade::oracle_topk {

struct DeviceOptions {
  maskerade_value budget;
  bool is_total;          // whether the budget includes the active keys
  std::int64_t together;  // heads that select by pooled scores
  bool sum;               // whether they are pooled by their sum; else by the maximum
};

// Adds each row's keys with the largest q.k on the device.
void select_on_device(const maskerade_cuda_call& call, const DeviceOptions& options);

}  // namespace maskerade::oracle_topk
