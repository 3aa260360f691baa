#include "attention/cpu/attend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <span>
#include <vector>

#include "attention/cpu/detail/few_rows.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "framework/base/error.hpp"
#include "framework/select/key_tile.hpp"

namespace maskerade {
namespace {

using detail::kScoreStride;
using detail::kStepBlocks;

constexpr float kNoKeys = -std::numeric_limits<float>::infinity();
// Key blocks are split among tasks until there are about this many, but not below kSplitBlocks.
constexpr std::int64_t kSplitTasks = 128;
constexpr std::int64_t kSplitBlocks = 16;
// Keys packed ahead for several row blocks take at most this much memory.
constexpr std::int64_t kPackedBytes = std::int64_t{64} << 20;

using Floats = std::unique_ptr<float[], void (*)(float*)>;

// A run of one row block's key blocks. part: where its result goes; -1: to the output.
struct Task {
  std::int64_t row_block = 0;
  std::int64_t blocks_begin = 0;
  std::int64_t blocks_end = 0;
  std::int64_t part = -1;
};

// Row blocks [begin, end) that are attended to together, and the tiles packed for them.
struct Chunk {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// Tiles of keys that several row blocks of a chunk read, packed once.
struct PackedTiles {
  struct Source {
    std::int64_t batch = 0;
    std::int64_t kv_head = 0;
    std::int64_t tile = 0;
  };
  std::vector<Source> sources;      // by slot
  std::vector<std::int32_t> slots;  // [group within the chunk][tile]: slot, or -1
  std::int64_t first_group = 0;
  std::int64_t tiles = 0;
  Floats keys{nullptr, [](float*) {}};
  std::int64_t capacity = 0;  // slots that keys has room for
};

struct Scratch {
  Scratch(std::int64_t head_dim, std::int64_t value_dim)
      : queries(aligned_floats(static_cast<std::size_t>(kMaxRows * head_dim))),
        keys(aligned_floats(static_cast<std::size_t>(kPackedKeys * head_dim))),
        scores(aligned_floats(static_cast<std::size_t>(kMaxRows * kScoreStride))),
        values(aligned_floats(static_cast<std::size_t>(kPackedKeys * value_dim))),
        out(aligned_floats(static_cast<std::size_t>(kMaxRows * value_dim))) {}

  Floats queries;  // [rows][head_dim] scaled
  Floats keys;     // a packed tile
  Floats scores;   // [rows][kScoreStride]
  Floats values;   // [64][value_dim] widened
  Floats out;      // [rows][value_dim]
  detail::SoftmaxState state;
};

std::int64_t group_of(const RowBlock& block, const AttentionShape& shape) {
  return block.batch * shape.kv_heads + block.kv_head;
}

// A whole tile that other row blocks can share: its number, or -1.
std::int64_t shared_tile(const KeyBlock& block, std::int64_t key_len) {
  if (block.list_offset >= 0 || block.first_key % kPackedKeys != 0) return -1;
  const bool whole = block.count == std::min(kPackedKeys, key_len - block.first_key);
  return whole ? block.first_key / kPackedKeys : -1;
}

class Attention {
 public:
  Attention(const AttentionInputs& inputs,
            const Plan& plan,
            const Threads& threads,
            AttentionOutput& output)
      : inputs_(inputs), plan_(plan), threads_(threads), output_(output) {
    const std::int64_t lanes = detail::value_lanes();
    value_dim_ = (inputs.shape.head_dim + lanes - 1) / lanes * lanes;
    values_in_place_ = inputs.v.dtype == DType::kFloat32 && value_dim_ == inputs.shape.head_dim;
    scratch_.resize(static_cast<std::size_t>(threads.count()));
    packed_.tiles = (inputs.shape.key_len + kPackedKeys - 1) / kPackedKeys;
  }

  void run() {
    const auto row_blocks = static_cast<std::int64_t>(plan_.row_blocks.size());
    for (Chunk chunk; chunk.begin < row_blocks; chunk.begin = chunk.end) {
      chunk.end = end_of_chunk(chunk.begin);
      pack_shared(chunk);
      run_chunk(chunk);
    }
  }

 private:
  const RowBlock& row_block(std::int64_t index) const {
    return plan_.row_blocks[static_cast<std::size_t>(index)];
  }
  const KeyBlock& key_block(std::int64_t index) const {
    return plan_.key_blocks[static_cast<std::size_t>(index)];
  }
  std::int64_t packed_tile_floats() const { return kPackedKeys * inputs_.shape.head_dim; }

  // Whole (batch, kv head) groups, as many as fit kPackedBytes when all their tiles are packed.
  std::int64_t end_of_chunk(std::int64_t begin) const {
    const std::int64_t group_bytes =
        packed_.tiles * packed_tile_floats() * static_cast<std::int64_t>(sizeof(float));
    const std::int64_t groups = std::max<std::int64_t>(1, kPackedBytes / group_bytes);
    const std::int64_t last_group = group_of(row_block(begin), inputs_.shape) + groups;
    std::int64_t end = begin;
    while (end < static_cast<std::int64_t>(plan_.row_blocks.size()) &&
           group_of(row_block(end), inputs_.shape) < last_group) {
      ++end;
    }
    return end;
  }

  void pack_shared(const Chunk& chunk) {
    packed_.sources.clear();
    packed_.first_group = group_of(row_block(chunk.begin), inputs_.shape);
    const std::int64_t groups =
        group_of(row_block(chunk.end - 1), inputs_.shape) - packed_.first_group + 1;
    // First the uses of each tile, then its slot.
    packed_.slots.assign(static_cast<std::size_t>(groups * packed_.tiles), 0);
    for (std::int64_t r = chunk.begin; r < chunk.end; ++r) {
      if (detail::few_rows_serve(inputs_, row_block(r))) continue;
      const std::int64_t base =
          (group_of(row_block(r), inputs_.shape) - packed_.first_group) * packed_.tiles;
      for (std::int64_t k = row_block(r).blocks_begin; k < row_block(r).blocks_end; ++k) {
        const std::int64_t tile = shared_tile(key_block(k), inputs_.shape.key_len);
        if (tile >= 0) ++packed_.slots[static_cast<std::size_t>(base + tile)];
      }
    }
    const std::int64_t limit = std::max<std::int64_t>(
        1, kPackedBytes / (packed_tile_floats() * static_cast<std::int64_t>(sizeof(float))));
    for (std::size_t i = 0; i < packed_.slots.size(); ++i) {
      const auto slot = static_cast<std::int64_t>(packed_.sources.size());
      const bool keep = packed_.slots[i] > 1 && slot < limit;
      packed_.slots[i] = keep ? static_cast<std::int32_t>(slot) : -1;
      if (!keep) continue;
      const std::int64_t group = packed_.first_group + static_cast<std::int64_t>(i) / packed_.tiles;
      packed_.sources.push_back({group / inputs_.shape.kv_heads, group % inputs_.shape.kv_heads,
                                 static_cast<std::int64_t>(i) % packed_.tiles});
    }
    const auto slots = static_cast<std::int64_t>(packed_.sources.size());
    if (slots > packed_.capacity) {
      packed_.keys = aligned_floats(static_cast<std::size_t>(slots * packed_tile_floats()));
      packed_.capacity = slots;
    }
    threads_.for_each(slots, [&](std::int64_t slot, int) {
      const PackedTiles::Source& source = packed_.sources[static_cast<std::size_t>(slot)];
      const std::int64_t first = source.tile * kPackedKeys;
      pack_keys(inputs_.k, source.batch, source.kv_head, first,
                static_cast<int>(std::min(kPackedKeys, inputs_.shape.key_len - first)),
                packed_.keys.get() + slot * packed_tile_floats());
    });
  }

  void run_chunk(const Chunk& chunk) {
    // Long row blocks first within a group, so that the last tasks are short; the groups in turn,
    // so that tasks that run at the same time read the same keys.
    std::vector<std::int64_t> order;
    for (std::int64_t r = chunk.begin; r < chunk.end; ++r) order.push_back(r);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      const std::int64_t group_a = group_of(row_block(a), inputs_.shape);
      const std::int64_t group_b = group_of(row_block(b), inputs_.shape);
      if (group_a != group_b) return group_a < group_b;
      return row_block(a).blocks_end - row_block(a).blocks_begin >
             row_block(b).blocks_end - row_block(b).blocks_begin;
    });

    const auto row_blocks = static_cast<std::int64_t>(plan_.row_blocks.size());
    const std::int64_t most_splits = (kSplitTasks + row_blocks - 1) / row_blocks;
    std::vector<Task> tasks;
    std::vector<Task> merges;  // part: the first of the row block's parts
    std::int64_t parts = 0;
    for (const std::int64_t r : order) {
      const RowBlock& rows = row_block(r);
      const std::int64_t blocks = rows.blocks_end - rows.blocks_begin;
      const std::int64_t splits = std::clamp<std::int64_t>(blocks / kSplitBlocks, 1, most_splits);
      if (splits > 1) merges.push_back({r, 0, splits, parts});
      for (std::int64_t s = 0; s < splits; ++s) {
        tasks.push_back({r, rows.blocks_begin + blocks * s / splits,
                         rows.blocks_begin + blocks * (s + 1) / splits, splits > 1 ? parts++ : -1});
      }
    }
    part_out_.resize(static_cast<std::size_t>(parts * kMaxRows * inputs_.shape.head_dim));
    part_lse_.resize(static_cast<std::size_t>(parts * kMaxRows));

    threads_.for_each(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t t, int worker) {
      auto& scratch = scratch_[static_cast<std::size_t>(worker)];
      if (!scratch) scratch = std::make_unique<Scratch>(inputs_.shape.head_dim, value_dim_);
      run_task(tasks[static_cast<std::size_t>(t)], *scratch);
    });
    threads_.for_each(static_cast<std::int64_t>(merges.size()), [&](std::int64_t m, int) {
      const Task& merge = merges[static_cast<std::size_t>(m)];
      merge_parts(row_block(merge.row_block), merge.part, merge.blocks_end);
    });
  }

  // Index of a row block's row in [batch, query_heads, query_len].
  std::int64_t output_row(const RowBlock& rows, std::int64_t r) const {
    const std::int64_t head = rows.first_head + r / rows.queries;
    const std::int64_t query = rows.first_query + r % rows.queries;
    return (rows.batch * inputs_.shape.query_heads + head) * inputs_.shape.query_len + query;
  }

  void load_queries(const RowBlock& rows, Scratch& scratch) const {
    const std::int64_t dim = inputs_.shape.head_dim;
    const auto scale = static_cast<float>(inputs_.scale * std::numbers::log2e);
    for (std::int64_t r = 0; r < rows.rows(); ++r) {
      float* target = scratch.queries.get() + r * dim;
      const void* source = inputs_.q.row(rows.batch, rows.first_head + r / rows.queries,
                                         rows.first_query + r % rows.queries);
      detail::widen_values(inputs_.q.dtype, source, dim, target);
      for (std::int64_t d = 0; d < dim; ++d) target[d] *= scale;
    }
  }

  // The packed tile that a key block shares with other row blocks; nullptr: none.
  const float* shared_keys(const RowBlock& rows, const KeyBlock& block) const {
    const std::int64_t tile = shared_tile(block, inputs_.shape.key_len);
    if (tile < 0) return nullptr;
    const std::int64_t group = group_of(rows, inputs_.shape) - packed_.first_group;
    const std::int32_t slot = packed_.slots[static_cast<std::size_t>(group * packed_.tiles + tile)];
    return slot < 0 ? nullptr : packed_.keys.get() + slot * packed_tile_floats();
  }

  std::int64_t key_of(const KeyBlock& block, std::int64_t column) const {
    return block.list_offset < 0 ? block.first_key + column
                                 : listed(block)[static_cast<std::size_t>(column)];
  }

  const float* packed_keys(const RowBlock& rows, const KeyBlock& block, Scratch& scratch) const {
    if (const float* shared = shared_keys(rows, block)) return shared;
    if (block.list_offset < 0) {
      pack_keys(inputs_.k, rows.batch, rows.kv_head, block.first_key, block.count,
                scratch.keys.get());
    } else {
      pack_keys(inputs_.k, rows.batch, rows.kv_head, listed(block), scratch.keys.get());
    }
    return scratch.keys.get();
  }

  std::span<const std::int32_t> listed(const KeyBlock& block) const {
    return std::span(plan_.key_list)
        .subspan(static_cast<std::size_t>(block.list_offset),
                 static_cast<std::size_t>(block.count));
  }

  detail::ValueRows value_rows(const RowBlock& rows,
                               const KeyBlock& block,
                               Scratch& scratch) const {
    if (values_in_place_) {
      const std::int64_t first = block.list_offset < 0 ? block.first_key : 0;
      return {static_cast<const float*>(inputs_.v.row(rows.batch, rows.kv_head, first)),
              inputs_.v.row_stride, block.list_offset < 0 ? nullptr : listed(block).data()};
    }
    for (std::int64_t j = 0; j < block.count; ++j) {
      float* target = scratch.values.get() + j * value_dim_;
      detail::widen_values(inputs_.v.dtype,
                           inputs_.v.row(rows.batch, rows.kv_head, key_of(block, j)),
                           inputs_.shape.head_dim, target);
      std::fill(target + inputs_.shape.head_dim, target + value_dim_, 0.0F);
    }
    return {scratch.values.get(), value_dim_, nullptr};
  }

  void run_task(const Task& task, Scratch& scratch) {
    const RowBlock& rows = row_block(task.row_block);
    const auto count = static_cast<int>(rows.rows());
    if (detail::few_rows_serve(inputs_, rows)) {
      detail::attend_few_rows(inputs_, plan_, rows, task.blocks_begin, task.blocks_end,
                              scratch.state, scratch.out.get(), value_dim_);
      store(task, rows, count, scratch);
      return;
    }
    if (task.blocks_begin < task.blocks_end) {
      load_queries(rows, scratch);
      std::fill_n(scratch.out.get(), count * value_dim_, 0.0F);
    }
    std::fill_n(scratch.state.top, count, kNoKeys);
    std::fill_n(scratch.state.sum, count, 0.0);
    for (std::int64_t first = task.blocks_begin; first < task.blocks_end; first += kStepBlocks) {
      const auto blocks =
          static_cast<int>(std::min<std::int64_t>(kStepBlocks, task.blocks_end - first));
      step(rows, count, first, blocks, scratch);
    }
    store(task, rows, count, scratch);
  }

  void step(
      const RowBlock& rows, int count, std::int64_t first, int blocks, Scratch& scratch) const {
    const std::int64_t dim = inputs_.shape.head_dim;
    const std::uint64_t* words[kStepBlocks];
    std::uint64_t tails[kStepBlocks];
    for (int b = 0; b < blocks; ++b) {
      const KeyBlock& block = key_block(first + b);
      float* scores = scratch.scores.get() + b * kPackedKeys;
      score_tile(scratch.queries.get(), dim, count, packed_keys(rows, block, scratch), dim, scores,
                 kScoreStride);
      for (std::int64_t s = block.samples_begin; s < block.samples_end; ++s) {
        const PlannedSample& sample = plan_.samples[static_cast<std::size_t>(s)];
        scores[sample.row * kScoreStride + sample.column] -=
            static_cast<float>(sample.log_probability * std::numbers::log2e);
      }
      words[b] = block.bits_offset < 0
                     ? nullptr
                     : plan_.bits.data() + static_cast<std::size_t>(block.bits_offset);
      tails[b] = ~std::uint64_t{0} >> (kPackedKeys - block.count);
    }
    detail::softmax_step(scratch.scores.get(), count, blocks, words, tails, scratch.state);
    for (int b = 0; b < blocks; ++b) {
      const KeyBlock& block = key_block(first + b);
      detail::accumulate_values(scratch.scores.get() + b * kPackedKeys, count, block.count,
                                value_rows(rows, block, scratch), value_dim_, scratch.state.scale,
                                scratch.out.get());
      // What the step's first block scaled is not scaled again.
      if (b == 0) std::fill_n(scratch.state.scale, count, 1.0F);
    }
  }

  void store(const Task& task, const RowBlock& rows, int count, const Scratch& scratch) {
    const std::int64_t dim = inputs_.shape.head_dim;
    for (int r = 0; r < count; ++r) {
      const std::int64_t row = task.part < 0 ? output_row(rows, r) : task.part * kMaxRows + r;
      float* out = (task.part < 0 ? output_.out.data() : part_out_.data()) + row * dim;
      const auto store_lse = [&](double lse) {
        if (task.part < 0) {
          output_.lse[static_cast<std::size_t>(row)] = static_cast<float>(lse);
        } else {
          part_lse_[static_cast<std::size_t>(row)] = lse;
        }
      };
      const float* sums = scratch.out.get() + r * value_dim_;
      if (scratch.state.top[r] == kNoKeys) {
        std::fill_n(out, dim, 0.0F);
        store_lse(kNoKeys);
        continue;
      }
      const double sum = scratch.state.sum[r];
      const auto share = static_cast<float>(1.0 / sum);
      for (std::int64_t d = 0; d < dim; ++d) out[d] = sums[d] * share;
      store_lse(scratch.state.top[r] * std::numbers::ln2 + std::log(sum));
    }
  }

  // Unites parts first ... first + parts - 1 of a row block, in this order.
  void merge_parts(const RowBlock& rows, std::int64_t first, std::int64_t parts) {
    const std::int64_t dim = inputs_.shape.head_dim;
    std::vector<double> sums(static_cast<std::size_t>(dim));
    for (std::int64_t r = 0; r < rows.rows(); ++r) {
      double top = kNoKeys;
      for (std::int64_t p = first; p < first + parts; ++p) top = std::max(top, part_lse(p, r));
      const std::int64_t row = output_row(rows, r);
      float* out = output_.out.data() + row * dim;
      if (top == kNoKeys) {
        std::fill_n(out, dim, 0.0F);
        output_.lse[static_cast<std::size_t>(row)] = kNoKeys;
        continue;
      }
      std::fill(sums.begin(), sums.end(), 0.0);
      double sum = 0;
      for (std::int64_t p = first; p < first + parts; ++p) {
        if (part_lse(p, r) == kNoKeys) continue;
        const double weight = std::exp(part_lse(p, r) - top);
        const float* part = part_out_.data() + (p * kMaxRows + r) * dim;
        sum += weight;
        for (std::int64_t d = 0; d < dim; ++d)
          sums[static_cast<std::size_t>(d)] += weight * part[d];
      }
      for (std::int64_t d = 0; d < dim; ++d) {
        out[d] = static_cast<float>(sums[static_cast<std::size_t>(d)] / sum);
      }
      output_.lse[static_cast<std::size_t>(row)] = static_cast<float>(top + std::log(sum));
    }
  }

  double part_lse(std::int64_t part, std::int64_t r) const {
    return part_lse_[static_cast<std::size_t>(part * kMaxRows + r)];
  }

  const AttentionInputs& inputs_;
  const Plan& plan_;
  const Threads& threads_;
  AttentionOutput& output_;
  std::int64_t value_dim_ = 0;  // head_dim rounded up to whole vectors
  bool values_in_place_ = false;
  std::vector<std::unique_ptr<Scratch>> scratch_;  // by worker
  PackedTiles packed_;
  std::vector<float> part_out_;   // [parts][64][head_dim]
  std::vector<double> part_lse_;  // [parts][64]; float32 would round the weights of the parts
};

}  // namespace

void attend(const AttentionInputs& inputs,
            const Plan& plan,
            const Threads& threads,
            AttentionOutput& output) {
  inputs.validate();
  if (plan.shape != inputs.shape) {
    throw ShapeError(fmt::format("the plan is for shape {}, the inputs have shape {}",
                                 plan.shape.to_string(), inputs.shape.to_string()));
  }
  output.resize(inputs.shape);
  Attention(inputs, plan, threads, output).run();
}

std::string instruction_set() { return detail::target_name(); }

}  // namespace maskerade
