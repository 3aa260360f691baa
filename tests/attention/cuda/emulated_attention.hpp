#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "attention/reference/oracle.hpp"
#include "tests/attention/cuda/host_plan.hpp"
#include "tests/attention/cuda/run_kernels.hpp"
#include "tests/attention/random_problem.hpp"

// Attention by the kernels of the CUDA backend on an emulated block, and what it has to be.
namespace maskerade::cuda {

inline constexpr float kPoison = 12345.0F;

// Arguments over poisoned outputs.
struct Attention {
  Attention(const AttentionInputs& inputs, std::int64_t splits, std::int64_t part_rows) {
    const AttentionShape& shape = inputs.shape;
    output.out.assign(size(shape.rows() * shape.head_dim), kPoison);
    output.lse.assign(size(shape.rows()), kPoison);
    parts.assign(size(splits * part_rows * shape.head_dim), kPoison);
    tops.assign(size(splits * part_rows), kPoison);
    sums.assign(size(splits * part_rows), kPoison);
    arguments = {.q = inputs.q.data,
                 .k = inputs.k.data,
                 .v = inputs.v.data,
                 .kv_heads = shape.kv_heads,
                 .key_len = shape.key_len,
                 .head_dim = shape.head_dim,
                 .scale_log2 = inputs.scale * 1.44269504F,
                 .out = output.out.data(),
                 .lse = output.lse.data(),
                 .splits = splits,
                 .part_out = parts.data(),
                 .part_top = tops.data(),
                 .part_sum = sums.data()};
  }

  AttentionOutput output;
  std::vector<float> parts;
  std::vector<float> tops;
  std::vector<float> sums;
  AttendArguments arguments;
};

enum class Family { kMatrix, kWarpgroups, kPlain };

inline AttentionOutput attend_tiles(const AttentionInputs& inputs,
                                    const TilePlan& plan,
                                    DType dtype,
                                    Family family,
                                    std::int64_t splits,
                                    unsigned seed) {
  Attention attention(inputs, splits, plan.layout.row_blocks() * kBlockRows);
  if (family == Family::kPlain) {
    emulate_plain<TileRowKeys>(attention.arguments, plan, dtype, seed);
  } else if (family == Family::kWarpgroups) {
    emulate_warpgroup_tiles(attention.arguments, plan, dtype, seed);
  } else {
    emulate_tiles(attention.arguments, plan, dtype, seed);
  }
  if (splits > 1) emulate_merge(attention.arguments, plan.layout, kBlockRows);
  return std::move(attention.output);
}

inline AttentionOutput attend_rows(const AttentionInputs& inputs,
                                   const RowPlan& plan,
                                   DType dtype,
                                   Family family,
                                   std::int64_t splits,
                                   unsigned seed) {
  Attention attention(inputs, splits, plan.layout.row_blocks() * kListRows);
  if (family == Family::kPlain) {
    emulate_plain<ListedRowKeys>(attention.arguments, plan, dtype, seed);
  } else {
    emulate_rows(attention.arguments, plan, dtype, seed);
  }
  if (splits > 1) emulate_merge(attention.arguments, plan.layout, kListRows);
  return std::move(attention.output);
}

inline double tolerance_of(DType dtype, Family family) {
  if (family == Family::kPlain) return 1e-5;
  return dtype == DType::kFloat16 ? 2e-3 : 1e-2;
}

inline void expect_oracle(const AttentionInputs& inputs,
                          const Mask& mask,
                          const AttentionOutput& output,
                          double tolerance) {
  const AttentionShape& shape = inputs.shape;
  double worst = 0;
  double worst_lse = 0;
  std::size_t row = 0;
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.query_heads; ++h) {
      for (std::int64_t i = 0; i < shape.query_len; ++i, ++row) {
        const OracleRow oracle = oracle_row(inputs, mask, b, h, i);
        worst = std::max(worst, row_error(oracle, output.out.data() + row * size(shape.head_dim)));
        if (std::isinf(oracle.lse)) {
          ASSERT_EQ(output.lse[row], kNoKeys) << row;
          ASSERT_EQ(output.out[row * size(shape.head_dim)], 0) << row;
        } else {
          worst_lse = std::max(worst_lse, std::abs(oracle.lse - output.lse[row]));
        }
      }
    }
  }
  EXPECT_LE(worst, tolerance);
  EXPECT_LE(worst_lse, 1e-4);
}

}  // namespace maskerade::cuda
