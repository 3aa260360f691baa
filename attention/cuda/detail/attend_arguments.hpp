#pragma once

#include <cmath>
#include <cstdint>

#include "framework/tensor/cuda/host_device.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade::cuda {

// Shared memory that a block can have on every device from sm_80 on: that of sm_86 and sm_89.
inline constexpr int kMostSharedBytes = 99 * 1024;

// What every attention kernel is given. q is contiguous [batch, query_heads, query_len, head_dim];
// k and v are [batch, kv_heads, key_room, head_dim], of which the first key_len keys are there.
struct AttendArguments {
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  std::int64_t kv_heads = 1;
  std::int64_t key_len = 1;
  std::int64_t key_room = 0;  // keys from one kv head's first to the next one's; 0: key_len
  std::int64_t head_dim = 1;
  float scale_log2 = 1;  // scale * log2(e): logits are in units of ln 2
  float* out = nullptr;  // [batch, query_heads, query_len, head_dim]
  float* lse = nullptr;  // [batch, query_heads, query_len]
  // The keys of a row block are split in this many parts, whose results are merged.
  std::int64_t splits = 1;
  float* part_out = nullptr;  // [row blocks][splits][rows][head_dim] not divided by the sum
  float* part_top = nullptr;  // [row blocks][splits][rows]
  float* part_sum = nullptr;  // the same

  MASKERADE_HOST_DEVICE std::int64_t room() const { return key_room > 0 ? key_room : key_len; }
  // Element offset of the first key of a kv head.
  MASKERADE_HOST_DEVICE std::int64_t keys_at(std::int64_t batch, std::int64_t kv_head) const {
    return (batch * kv_heads + kv_head) * room() * head_dim;
  }
};

inline constexpr float kNoKeys = -__builtin_huge_valf();
inline constexpr float kLn2 = 0.693147180559945309F;

// The running softmax of a row, in units of ln 2: sum = sum of exp2(logit - top).
struct RowState {
  float top = kNoKeys;
  float sum = 0;
};

// Where a row's result goes: to out and lse, or to its part.
struct RowTarget {
  float* out;
  float* lse;  // null: a part
  float* part_top;
  float* part_sum;
};

// row: in [batch, query_heads, query_len]; part: row_block * splits + split; r: of `rows` rows of
// the row block.
MASKERADE_HOST_DEVICE RowTarget target_of(const AttendArguments& arguments,
                                          std::int64_t row,
                                          std::int64_t part,
                                          std::int64_t r,
                                          std::int64_t rows) {
  if (arguments.splits == 1) {
    return {arguments.out + row * arguments.head_dim, arguments.lse + row, nullptr, nullptr};
  }
  const std::int64_t at = part * rows + r;
  return {arguments.part_out + at * arguments.head_dim, nullptr, arguments.part_top + at,
          arguments.part_sum + at};
}

// What the accumulated output is multiplied with when it is stored.
MASKERADE_HOST_DEVICE float stored_factor(const RowTarget& target, const RowState& state) {
  if (target.lse == nullptr) return 1;
  return state.sum > 0 ? 1 / state.sum : 0;
}

MASKERADE_HOST_DEVICE void store_state(const RowTarget& target, const RowState& state) {
  if (target.lse == nullptr) {
    *target.part_top = state.top;
    *target.part_sum = state.sum;
  } else {
    *target.lse = state.sum > 0 ? state.top * kLn2 + logf(state.sum) : kNoKeys;
  }
}

// Merges the parts of a row exactly: one call for each (row of a row block, component). Layout is a
// TileLayout or a RowLayout with `rows` rows a row block.
template <typename Layout>
struct MergeParts {
  AttendArguments arguments;
  Layout layout;
  std::int64_t rows;

  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t d = i % arguments.head_dim;
    const std::int64_t r = i / arguments.head_dim % rows;
    const std::int64_t row_block = i / arguments.head_dim / rows;
    const auto place = layout.place_of(row_block);
    if (!layout.has_row(place, r)) return;
    const std::int64_t first = row_block * arguments.splits * rows + r;
    float top = kNoKeys;
    for (std::int64_t s = 0; s < arguments.splits; ++s) {
      top = larger(top, arguments.part_top[first + s * rows]);
    }
    float sum = 0;
    float out = 0;
    for (std::int64_t s = 0; s < arguments.splits; ++s) {
      const std::int64_t at = first + s * rows;
      if (arguments.part_top[at] == kNoKeys) continue;
      const float weight = exp2f(arguments.part_top[at] - top);
      sum += weight * arguments.part_sum[at];
      out += weight * arguments.part_out[at * arguments.head_dim + d];
    }
    const std::int64_t row = layout.row_of(place, r);
    arguments.out[row * arguments.head_dim + d] = sum > 0 ? out / sum : 0;
    if (d == 0) arguments.lse[row] = sum > 0 ? top * kLn2 + logf(sum) : kNoKeys;
  }
};

}  // namespace maskerade::cuda
