#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/select/key_tile.hpp"

namespace maskerade::detail {

// Finds the rows of q, k, v and of the output that a plan's row blocks and key blocks refer to.
// Keeps references to the inputs and the plan; pointers that it returns point into the inputs.
class RowPlaces {
 public:
  RowPlaces(const AttentionInputs& inputs, const CpuPlan& plan) : inputs_(inputs), plan_(plan) {}

  const RowBlock& row_block(std::int64_t index) const {
    return plan_.row_blocks[static_cast<std::size_t>(index)];
  }
  const KeyBlock& key_block(std::int64_t index) const {
    return plan_.key_blocks[static_cast<std::size_t>(index)];
  }

  // The index in [batch, query_heads, query_len] of row r of a row block.
  std::int64_t output_row(const RowBlock& rows, std::int64_t r) const;
  // The rows of q of a row block, as stored; entries from rows.rows() on are not set.
  std::array<const void*, kMaxRows> query_rows(const RowBlock& rows) const;
  // Fills queries[rows][head_dim] with the rows of q in float32, multiplied by scale * log2(e), so
  // that their products with keys are logits in units of log 2.
  void load_queries(const RowBlock& rows, float* queries) const;
  // The rows of `tensor`, k or v, of a key block of the row block; entries from block.count on are
  // not set.
  std::array<const void*, kPackedKeys> key_rows(const TensorView& tensor,
                                                const RowBlock& rows,
                                                const KeyBlock& block) const;
  // The same rows of v for accumulate_values(). Requires float32 v.
  ValueRows values_in_place(const RowBlock& rows, const KeyBlock& block) const;

 private:
  // The keys of a gathered key block.
  std::span<const std::int32_t> listed(const KeyBlock& block) const;

  const AttentionInputs& inputs_;
  const CpuPlan& plan_;
};

}  // namespace maskerade::detail
