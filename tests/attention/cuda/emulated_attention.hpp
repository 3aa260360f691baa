#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "attention/reference/row_judgement.hpp"
#include "tests/attention/cuda/host_plan.hpp"
#include "tests/attention/cuda/run_kernels.hpp"
#include "tests/attention/random_problem.hpp"

// Attention by the kernels of the CUDA backend on an emulated block, and its comparison with the
// oracle.
namespace maskerade::cuda {

// What outputs hold before a kernel writes them.
inline constexpr float kPoison = 12345.0F;

// The arguments of a kernel, and the memory of its results, poisoned.
struct Attention {
  // part_rows: rows of all row blocks.
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
  std::vector<float> parts;  // see AttendArguments::part_out, part_top and part_sum
  std::vector<float> tops;
  std::vector<float> sums;
  AttendArguments arguments;
};

enum class Family {
  kMatrix,      // matrix products of a warp
  kWarpgroups,  // matrix products of warpgroups; tiles only
  kPlain,       // no matrix products
};

// By which kernel, and how, attention is computed.
struct EmulatedKernel {
  DType dtype;  // of q, k and v
  Family family;
  std::int64_t splits = 1;  // see AttendArguments
  unsigned seed;            // of the order in which warps run
};

inline AttentionOutput attend_tiles(const AttentionInputs& inputs,
                                    const TilePlan& plan,
                                    const EmulatedKernel& by) {
  Attention attention(inputs, by.splits, plan.layout.row_blocks() * kBlockRows);
  if (by.family == Family::kPlain) {
    emulate_plain<TileRowKeys>(attention.arguments, plan, by.dtype, by.seed);
  } else if (by.family == Family::kWarpgroups) {
    emulate_warpgroup_tiles(attention.arguments, plan, by.dtype, by.seed);
  } else {
    emulate_tiles(attention.arguments, plan, by.dtype, by.seed);
  }
  if (by.splits > 1) emulate_merge(attention.arguments, plan.layout, kBlockRows);
  return std::move(attention.output);
}

inline AttentionOutput attend_rows(const AttentionInputs& inputs,
                                   const RowPlan& plan,
                                   const EmulatedKernel& by) {
  Attention attention(inputs, by.splits, plan.layout.row_blocks() * kListRows);
  if (by.family == Family::kPlain) {
    emulate_plain<ListedRowKeys>(attention.arguments, plan, by.dtype, by.seed);
  } else {
    emulate_rows(attention.arguments, plan, by.dtype, by.seed);
  }
  if (by.splits > 1) emulate_merge(attention.arguments, plan.layout, kListRows);
  return std::move(attention.output);
}

// The largest error of a row that the kernel's arithmetic allows (design: base allowance).
inline double tolerance_of(DType dtype, Family family) {
  return base_allowance(family == Family::kPlain ? DType::kFloat32 : dtype);
}

// Expects out of every row to be within tolerance of the oracle, and lse within 1e-4.
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
        worst = std::max(worst, out_error(oracle, output.out.data() + row * size(shape.head_dim)));
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
