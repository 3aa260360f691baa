#include "attention/cpu/detail/few_rows.hpp"

#include <algorithm>
#include <limits>
#include <numbers>
#include <numeric>
#include <vector>

#include "attention/cpu/detail/few_rows_kernel.hpp"
#include "attention/cpu/detail/weigh_samples.hpp"
#include "framework/mask/bit_words.hpp"

namespace maskerade::detail {
namespace {

constexpr std::int64_t kBlockKeys = 64;

// Key blocks begin ... begin + blocks - 1 of a plan, which one step of the online softmax takes,
// and the indices of their keys. Each block has kBlockKeys indices; a block of fewer keys repeats
// its last one, which softmax_step() gives the weight 0.
struct Step {
  std::int64_t begin = 0;
  int blocks = 0;
  std::int32_t keys[kStepBlocks * kBlockKeys];

  Step(const CpuPlan& plan, std::int64_t first, std::int64_t end)
      : begin(first), blocks(static_cast<int>(std::min<std::int64_t>(kStepBlocks, end - first))) {
    for (int b = 0; b < blocks; ++b) {
      const KeyBlock& block = plan.key_blocks[static_cast<std::size_t>(begin + b)];
      std::int32_t* to = keys + b * kBlockKeys;
      if (block.list_offset < 0) {
        std::iota(to, to + block.count, static_cast<std::int32_t>(block.first_key));
      } else {
        std::copy_n(plan.key_list.begin() + block.list_offset, block.count, to);
      }
      std::fill(to + block.count, to + kBlockKeys, to[block.count - 1]);
    }
  }

  // The rows of k or v that the step's keys name.
  ListedBytes of(const TensorView& tensor, const RowBlock& rows) const {
    return {static_cast<const std::byte*>(tensor.row(rows.batch, rows.kv_head, 0)),
            tensor.row_stride * static_cast<std::int64_t>(size_of(tensor.dtype)), keys,
            blocks * kBlockKeys};
  }
};

// Turns scores[rows][kScoreStride] of a step, in place, into weights.
void weigh(const CpuPlan& plan, const Step& step, int rows, float* scores, SoftmaxState& state) {
  const std::uint64_t* words[kStepBlocks];
  std::uint64_t tails[kStepBlocks];
  for (int b = 0; b < step.blocks; ++b) {
    const KeyBlock& block = plan.key_blocks[static_cast<std::size_t>(step.begin + b)];
    weigh_samples(plan, block, 0, rows, 1.0F, scores + b * kBlockKeys);
    words[b] = block.bits_offset < 0
                   ? nullptr
                   : plan.bits.data() + static_cast<std::size_t>(block.bits_offset);
    tails[b] = low_bits(block.count);
  }
  softmax_step({.scores = scores,
                .first_row = 0,
                .rows = rows,
                .blocks = step.blocks,
                .words = words,
                .tails = tails},
               state);
}

}  // namespace

bool few_rows_serve(const AttentionInputs& inputs, const RowBlock& rows) {
  return rows.rows() <= kFewRows && few_rows_width(inputs.k.dtype, inputs.shape.head_dim) > 0 &&
         few_rows_width(inputs.v.dtype, inputs.shape.head_dim) > 0;
}

void attend_few_rows(const AttentionInputs& inputs,
                     const CpuPlan& plan,
                     const RowBlock& rows,
                     std::int64_t begin,
                     std::int64_t end,
                     SoftmaxState& state,
                     float* out,
                     std::int64_t out_stride) {
  const std::int64_t dim = inputs.shape.head_dim;
  const auto count = static_cast<int>(rows.rows());
  std::fill_n(state.top, count, -std::numeric_limits<float>::infinity());
  std::fill_n(state.sum, count, 0.0);
  if (begin == end) return;

  const std::int64_t query_width = few_rows_width(inputs.k.dtype, dim);
  const std::int64_t value_width = few_rows_width(inputs.v.dtype, dim);
  const auto queries = aligned_floats(static_cast<std::size_t>(count * query_width));
  const auto scores = aligned_floats(static_cast<std::size_t>(count * kScoreStride));
  const auto sums = aligned_floats(static_cast<std::size_t>(count * value_width));
  std::fill_n(sums.get(), count * value_width, 0.0F);
  std::vector<float> query(static_cast<std::size_t>(dim));
  const auto scale = static_cast<float>(inputs.scale * std::numbers::log2e);
  for (std::int64_t r = 0; r < count; ++r) {
    inputs.q.load_row(rows.batch, rows.first_head + r / rows.queries,
                      rows.first_query + r % rows.queries, query.data());
    for (float& component : query) component *= scale;
    order_components(inputs.k.dtype, dim, query.data(), queries.get() + r * query_width);
  }

  Step step(plan, begin, end);
  while (step.blocks > 0) {
    const Step next(plan, step.begin + step.blocks, end);
    const ListedBytes keys = step.of(inputs.k, rows);
    const ListedBytes values = step.of(inputs.v, rows);
    score_few_rows({.dtype = inputs.k.dtype,
                    .head_dim = dim,
                    .rows = count,
                    .queries = queries.get(),
                    .keys = keys,
                    .next = values,
                    .scores = scores.get(),
                    .score_stride = kScoreStride});
    weigh(plan, step, count, scores.get(), state);
    accumulate_few_rows({.dtype = inputs.v.dtype,
                         .head_dim = dim,
                         .rows = count,
                         .weights = scores.get(),
                         .weight_stride = kScoreStride,
                         .values = values,
                         .next = next.of(inputs.k, rows),
                         .scale = state.scale,
                         .out = sums.get()});
    step = next;
  }
  for (std::int64_t r = 0; r < count; ++r) {
    restore_components(inputs.v.dtype, dim, sums.get() + r * value_width, out + r * out_stride);
  }
}

}  // namespace maskerade::detail
