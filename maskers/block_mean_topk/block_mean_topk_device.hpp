#pragma once

#include <cstdint>

#include "framework/sdk/masker_abi.h"

namespace maskerade::block_mean_topk {

struct DeviceOptions {
  maskerade_value budget;
  bool is_total;          // whether the budget includes the active keys
  std::int64_t block;     // in tokens
  bool mean;              // whether a block is pooled by its mean; else by the maximum
  std::int64_t together;  // heads that select by pooled scores
  bool sum;               // whether they are pooled by their sum; else by the maximum
};

// Adds the best blocks of each row of blocks on the device. call.indexes: each kv head's pooled
// keys, [blocks][head_dim] floats.
void select_on_device(const maskerade_cuda_call& call, const DeviceOptions& options);

}  // namespace maskerade::block_mean_topk
