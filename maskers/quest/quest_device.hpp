#pragma once

#include <cstdint>

#include "framework/sdk/masker_abi.h"

namespace maskerade::quest {

struct DeviceOptions {
  maskerade_value budget;
  bool is_total;      // whether the budget includes the active keys
  std::int64_t page;  // in keys
  std::int64_t min_pages;
  std::int64_t together;  // heads that select by pooled scores
  bool sum;               // whether they are pooled by their sum; else by the maximum
};

// Adds the keys of each row's best pages on the device. call.indexes: each kv head's bounds,
// [pages][head_dim][2] floats.
void select_on_device(const maskerade_cuda_call& call, const DeviceOptions& options);

}  // namespace maskerade::quest
