#pragma once

#include <cmath>
#include <cstdint>

#include "attention/cuda/detail/plan_shape.hpp"
#include "framework/mask/cuda/mask_view.hpp"
#include "framework/tensor/cuda/host_device.hpp"

// The plan of the row kernels: lists of the keys that each row block attends to. The device makes
// it from a mask in its memory, and the host does not wait. Like tile_plan.hpp it is written
// against steps and plain pointers, so that tests run the same code on the CPU.
namespace maskerade::cuda {

inline constexpr int kListRows = 16;  // the most rows of a row block: those of a matrix fragment

// How rows are put into row blocks that read one kv head, so that decode reads a key once for its
// group. The rows of a row block are one query of up to kListRows query heads of a group, a stack:
// row r is query head first_head + r. Row blocks are numbered [batch, kv_heads, stacks, query_len].
// Row blocks whose heads read the same mask head share a piece, which has one list of keys.
struct RowLayout : PlanShape {
  std::int64_t heads = 1;          // the most heads of a row block
  bool has_mask_per_head = false;  // whether each head of a row block has a mask head of its own

  static RowLayout of(std::int64_t batch,
                      std::int64_t query_heads,
                      std::int64_t kv_heads,
                      const MaskView& mask) {
    RowLayout layout{PlanShape::of(batch, query_heads, kv_heads, mask)};
    layout.heads = smaller<std::int64_t>(kListRows, layout.group());
    layout.has_mask_per_head = layout.heads > 1 && mask.heads == query_heads;
    return layout;
  }

  // Stacks of a group.
  MASKERADE_HOST_DEVICE std::int64_t stacks() const { return ceil_div(group(), heads); }
  MASKERADE_HOST_DEVICE std::int64_t row_blocks() const {
    return batch * kv_heads * stacks() * query_len;
  }
  MASKERADE_HOST_DEVICE std::int64_t pieces() const {
    return mask_batch * (has_mask_per_head ? kv_heads * stacks() : mask_heads) * query_len;
  }

  // The rows of a row block.
  struct RowBlock {
    std::int64_t batch;
    std::int64_t kv_head;
    std::int64_t first_head;
    std::int64_t heads;  // the last stack of a group may have fewer than the others
    std::int64_t query;
  };
  MASKERADE_HOST_DEVICE RowBlock row_block_at(std::int64_t row_block) const {
    const std::int64_t stack = row_block / query_len % stacks();
    const std::int64_t kv = row_block / query_len / stacks();
    return {kv / kv_heads, kv % kv_heads, kv % kv_heads * group() + stack * heads,
            smaller(heads, group() - stack * heads), row_block % query_len};
  }
  // The piece that a row block reads.
  MASKERADE_HOST_DEVICE std::int64_t piece_of(std::int64_t row_block) const {
    const RowBlock block = row_block_at(row_block);
    const std::int64_t b = mask_batch == 1 ? 0 : block.batch;
    if (has_mask_per_head) return row_block - (block.batch - b) * kv_heads * stacks() * query_len;
    return (b * mask_heads + block.first_head * mask_heads / query_heads) * query_len + block.query;
  }
  // Whether a row block has a row r.
  MASKERADE_HOST_DEVICE bool has_row(const RowBlock& block, std::int64_t r) const {
    return r < block.heads;
  }
  // The index in [batch, query_heads, query_len] of row r of a row block.
  MASKERADE_HOST_DEVICE std::int64_t row_of(const RowBlock& block, std::int64_t r) const {
    return (block.batch * query_heads + block.first_head + r) * query_len + block.query;
  }
  // How many mask heads a piece unites: that of each head, or one.
  MASKERADE_HOST_DEVICE std::int64_t mask_heads_of(std::int64_t piece) const {
    return has_mask_per_head ? row_block_at(piece).heads : 1;
  }
  // The mask slice, in [mask_batch, mask_heads], of a piece's first mask head; the others follow.
  MASKERADE_HOST_DEVICE std::int64_t slice_of(std::int64_t piece) const {
    if (!has_mask_per_head) return piece / query_len;
    // Pieces are numbered as the row blocks of a problem of mask_batch batches.
    const RowBlock block = row_block_at(piece);
    return block.batch * mask_heads + block.first_head;
  }
};

// The arrays of a row plan, all in one memory space and owned by the caller.
struct RowPlanArrays {
  std::int64_t* offsets = nullptr;  // [pieces * spans + 1] where the keys of each span begin
  std::int32_t* keys = nullptr;     // [capacity] keys, ascending within a piece
  std::uint16_t* rows = nullptr;    // [capacity] bit r: active for row r; null: for all rows
  float* biases = nullptr;          // [capacity][biases_of_key] -log2 p; null: p is 1 throughout
  std::int64_t capacity = 0;
  std::int32_t* overflow = nullptr;  // one number: 1 when the capacity was too small, else 0
};

// A plan of the row kernels. A view of the mask and the arrays.
struct RowPlan {
  RowLayout layout;
  MaskView mask;
  std::int64_t span_tiles = 1;  // a span: tiles of a piece whose keys are listed by one call
  RowPlanArrays arrays;

  // Spans of a piece.
  MASKERADE_HOST_DEVICE std::int64_t spans() const { return ceil_div(mask.tiles(), span_tiles); }
  // Where the keys of a piece stand in arrays.keys; empty for every piece after an overflow.
  MASKERADE_HOST_DEVICE Range keys_of(std::int64_t piece) const {
    if (*arrays.overflow != 0) return {};
    return {arrays.offsets[piece * spans()], arrays.offsets[(piece + 1) * spans()]};
  }
  // Biases that arrays.biases has for each key: one for each head, or one for all.
  MASKERADE_HOST_DEVICE std::int64_t biases_of_key() const {
    return layout.has_mask_per_head ? layout.heads : 1;
  }
};

namespace detail {

// Bits of the columns of a tile that are active in some row of a piece.
MASKERADE_HOST_DEVICE std::uint64_t piece_word(const RowPlan& plan,
                                               std::int64_t piece,
                                               std::int64_t tile) {
  const std::int64_t slice = plan.layout.slice_of(piece);
  const std::int64_t query = piece % plan.layout.query_len;
  std::uint64_t columns = 0;
  for (std::int64_t h = 0; h < plan.layout.mask_heads_of(piece); ++h) {
    columns |= plan.mask.support_word(slice + h, query, tile);
  }
  return columns;
}

// A step of making the plan: call i counts the keys of span i and stores the count in offsets[i]. A
// prefix sum then turns the counts into offsets. Spans are numbered [pieces][spans of a piece].
struct CountKeys {
  RowPlan plan;
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t piece = i / plan.spans();
    const std::int64_t first = i % plan.spans() * plan.span_tiles;
    std::int64_t count = 0;
    for (std::int64_t tile = first; tile < smaller(first + plan.span_tiles, plan.mask.tiles());
         ++tile) {
      count += popcount(piece_word(plan, piece, tile));
    }
    plan.arrays.offsets[i] = count;
  }
};

// Call i lists the keys of span i, once offsets[i] says where they begin.
struct ListKeys {
  RowPlan plan;
  MASKERADE_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t piece = i / plan.spans();
    const std::int64_t first = i % plan.spans() * plan.span_tiles;
    std::int64_t at = plan.arrays.offsets[i];
    for (std::int64_t tile = first; tile < smaller(first + plan.span_tiles, plan.mask.tiles());
         ++tile) {
      for (std::uint64_t left = piece_word(plan, piece, tile); left != 0; left &= left - 1) {
        if (at >= plan.arrays.capacity) {
          *plan.arrays.overflow = 1;
          return;
        }
        list(piece, tile, lowest_bit(left), at++);
      }
    }
  }

 private:
  // Writes entry `at` of the lists.
  MASKERADE_HOST_DEVICE void list(std::int64_t piece,
                                  std::int64_t tile,
                                  int column,
                                  std::int64_t at) const {
    const std::int64_t slice = plan.layout.slice_of(piece);
    const std::int64_t query = piece % plan.layout.query_len;
    const auto key = static_cast<std::int32_t>(tile * kTileKeys + column);
    plan.arrays.keys[at] = key;
    unsigned rows = 0;
    for (std::int64_t h = 0; h < plan.layout.mask_heads_of(piece); ++h) {
      rows |= static_cast<unsigned>((plan.mask.support_word(slice + h, query, tile) >> column) & 1U)
              << h;
      if (plan.arrays.biases != nullptr) {
        plan.arrays.biases[at * plan.biases_of_key() + h] =
            -log2f(plan.mask.sampled_probability(slice + h, query, key));
      }
    }
    if (plan.arrays.rows != nullptr) plan.arrays.rows[at] = static_cast<std::uint16_t>(rows);
  }
};

}  // namespace detail

// Fills a plan's arrays by steps, HostSteps or DeviceSteps. *overflow must be 0 before.
template <typename Steps>
void make_row_plan(const Steps& steps, const RowPlan& plan) {
  const std::int64_t items = plan.layout.pieces() * plan.spans();
  steps.for_each(items, detail::CountKeys{plan});
  steps.exclusive_sum(plan.arrays.offsets, items);
  steps.for_each(items, detail::ListKeys{plan});
}

}  // namespace maskerade::cuda
