#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/select/key_tile.hpp"

namespace maskerade::detail {

// Where the rows that a plan speaks of lie in the inputs and in the output. inputs and plan stay.
class RowPlaces {
 public:
  RowPlaces(const AttentionInputs& inputs, const CpuPlan& plan) : inputs_(inputs), plan_(plan) {}

  const RowBlock& row_block(std::int64_t index) const {
    return plan_.row_blocks[static_cast<std::size_t>(index)];
  }
  const KeyBlock& key_block(std::int64_t index) const {
    return plan_.key_blocks[static_cast<std::size_t>(index)];
  }

  // Index of a row block's row in [batch, query_heads, query_len].
  std::int64_t output_row(const RowBlock& rows, std::int64_t r) const;
  // The rows of q.
  std::array<const void*, kMaxRows> query_rows(const RowBlock& rows) const;
  // queries[rows][head_dim]: the rows of q in float32, scaled so that q . k is a logit in units of
  // log 2.
  void load_queries(const RowBlock& rows, float* queries) const;
  // The block's rows of k or v.
  std::array<const void*, kPackedKeys> key_rows(const TensorView& tensor,
                                                const RowBlock& rows,
                                                const KeyBlock& block) const;
  // The block's rows of float32 v.
  ValueRows values_in_place(const RowBlock& rows, const KeyBlock& block) const;

 private:
  std::span<const std::int32_t> listed(const KeyBlock& block) const;

  const AttentionInputs& inputs_;
  const CpuPlan& plan_;
};

}  // namespace maskerade::detail
