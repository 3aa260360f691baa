#pragma once

#include <cmath>
#include <cstdint>

#include "framework/tensor/cuda/host_device.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade::cuda {

// The shared memory that a block can have on every device from sm_80 on; sm_86 and sm_89 have no
// more.
inline constexpr int kMostSharedBytes = 99 * 1024;

// The arguments of every attention kernel. Pointers are to device memory that the caller owns (host
// memory in tests). dtype is an argument of its own where it is not a template's.
struct AttendArguments {
  const void* q = nullptr;  // [batch, query_heads, query_len, head_dim] contiguous
  // [batch, kv_heads, room(), head_dim] contiguous, of which the first key_len keys are there
  const void* k = nullptr;
  const void* v = nullptr;
  std::int64_t kv_heads = 1;
  std::int64_t key_len = 1;
  std::int64_t key_room = 0;  // keys from one kv head's first to the next one's; 0: key_len
  std::int64_t head_dim = 1;
  float scale_log2 = 1;  // scale * log2(e): makes logits in units of log 2
  float* out = nullptr;  // [batch, query_heads, query_len, head_dim]
  float* lse = nullptr;  // [batch, query_heads, query_len] natural log
  // The keys of each row block are split into this many parts. With more than one, kernels write
  // the parts' results to part_out, part_top and part_sum, and MergeParts writes out and lse.
  std::int64_t splits = 1;
  float* part_out = nullptr;  // [row blocks][splits][rows][head_dim] not divided by part_sum
  float* part_top = nullptr;  // [row blocks][splits][rows] RowState::top
  float* part_sum = nullptr;  // [row blocks][splits][rows] RowState::sum

  MASKERADE_HOST_DEVICE std::int64_t room() const { return key_room > 0 ? key_room : key_len; }
  // Offset of the first key of a kv head in k, and of its value in v, in elements.
  MASKERADE_HOST_DEVICE std::int64_t keys_at(std::int64_t batch, std::int64_t kv_head) const {
    return (batch * kv_heads + kv_head) * room() * head_dim;
  }
};

inline constexpr float kNoKeys = -__builtin_huge_valf();
inline constexpr float kLn2 = 0.693147180559945309F;

// The online softmax of a row. Logits are in units of log 2.
struct RowState {
  float top = kNoKeys;  // the highest logit so far
  float sum = 0;        // the sum of exp2(logit - top) so far
};

// Where a kernel stores a row's result: in out and lse, or in the arrays of its part.
struct RowTarget {
  float* out;  // [head_dim]
  float* lse;  // null: the result is a part's, and part_top and part_sum are set
  float* part_top;
  float* part_sum;
};

// A row whose result is stored.
struct ResultRow {
  std::int64_t row;         // in [batch, query_heads, query_len]
  std::int64_t part;        // row_block * splits + split
  std::int64_t block_row;   // within the row block
  std::int64_t block_rows;  // rows that part_out has for each part
};

MASKERADE_HOST_DEVICE RowTarget target_of(const AttendArguments& arguments,
                                          const ResultRow& result) {
  if (arguments.splits == 1) {
    return {arguments.out + result.row * arguments.head_dim, arguments.lse + result.row, nullptr,
            nullptr};
  }
  const std::int64_t at = result.part * result.block_rows + result.block_row;
  return {arguments.part_out + at * arguments.head_dim, nullptr, arguments.part_top + at,
          arguments.part_sum + at};
}

// What a row's sums of weighted values are multiplied by when they are stored: 1 for a part, else 1
// over the sum of weights, 0 for a row without active keys.
MASKERADE_HOST_DEVICE float stored_factor(const RowTarget& target, const RowState& state) {
  if (target.lse == nullptr) return 1;
  return state.sum > 0 ? 1 / state.sum : 0;
}

// Stores a row's lse, or its part's top and sum.
MASKERADE_HOST_DEVICE void store_state(const RowTarget& target, const RowState& state) {
  if (target.lse == nullptr) {
    *target.part_top = state.top;
    *target.part_sum = state.sum;
  } else {
    *target.lse = state.sum > 0 ? state.top * kLn2 + logf(state.sum) : kNoKeys;
  }
}

// Merges the parts of all row blocks into out and lse. Call i, for i < row blocks * rows *
// head_dim, does one component of one row. Layout is a TileLayout or a RowLayout.
template <typename Layout>
struct MergeParts {
  AttendArguments arguments;
  Layout layout;
  std::int64_t rows;  // that part_out has for each part

  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t d = i % arguments.head_dim;
    const std::int64_t r = i / arguments.head_dim % rows;
    const std::int64_t row_block = i / arguments.head_dim / rows;
    const auto block = layout.row_block_at(row_block);
    if (!layout.has_row(block, r)) return;
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
    const std::int64_t row = layout.row_of(block, r);
    arguments.out[row * arguments.head_dim + d] = sum > 0 ? out / sum : 0;
    if (d == 0) arguments.lse[row] = sum > 0 ? top * kLn2 + logf(sum) : kNoKeys;
  }
};

}  // namespace maskerade::cuda
