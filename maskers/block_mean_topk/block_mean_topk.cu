#include <vector>

#include "framework/sdk/masker.cuh"
#include "maskers/block_mean_topk/block_mean_topk_device.hpp"

namespace maskerade::block_mean_topk {
namespace {

namespace device = maskerade::sdk::device;
namespace sdk = maskerade::sdk;

// The rows of blocks of all heads: list (head of all batch entries) * count + row of blocks.
struct BlockRows {
  maskerade_cuda_rows rows;
  DeviceOptions options;
  std::int64_t count;
  const std::int64_t* begins;  // [count + 1] first queries
  std::int64_t key_blocks;

  MASKERADE_KERNEL std::int64_t head(std::int64_t list) const { return list / count; }
  MASKERADE_KERNEL std::int64_t begin(std::int64_t list) const { return begins[list % count]; }
  MASKERADE_KERNEL std::int64_t end(std::int64_t list) const { return begins[list % count + 1]; }
  MASKERADE_KERNEL std::int64_t visible_blocks(std::int64_t list) const {
    std::int64_t visible = 0;
    for (std::int64_t query = begin(list); query < end(list); ++query) {
      visible = device::larger<std::int64_t>(visible, rows.visible_ends[query]);
    }
    return (visible + options.block - 1) / options.block;
  }
};

// Pools one component of a list's queries, in float64 in the order of the queries.
struct PoolQueries {
  BlockRows of;
  maskerade_cuda_tensor q;
  std::int64_t dim;
  float* pooled;  // [list][dim]

  MASKERADE_KERNEL void operator()(std::int64_t i) const {
    const std::int64_t list = i / dim;
    const std::int64_t batch = of.head(list) / of.rows.heads;
    const std::int64_t head = of.head(list) % of.rows.heads;
    double taken = 0;
    for (std::int64_t query = of.begin(list); query < of.end(list); ++query) {
      const double value = device::Tensor(q).load(batch, head, query, i % dim);
      if (query == of.begin(list)) {
        taken = value;
      } else {
        taken = of.options.mean ? taken + value : device::larger(taken, value);
      }
    }
    const double divisor =
        of.options.mean ? static_cast<double>(of.end(list) - of.begin(list)) : 1.0;
    pooled[i] = static_cast<float>(taken / divisor);
  }
};

// Counts the key blocks that each list sees and how many it takes.
struct FindCounts {
  BlockRows of;
  const std::int64_t* budgets;      // [row]
  const std::uint8_t* reaches_all;  // [row]
  std::int64_t* lengths;
  std::int64_t* counts;

  // Whether the budget of each row of the heads that decide together is enough for all of its keys.
  MASKERADE_KERNEL bool reaches(std::int64_t list, std::int64_t first_head) const {
    for (std::int64_t head = first_head; head < first_head + of.options.together; ++head) {
      for (std::int64_t query = of.begin(list); query < of.end(list); ++query) {
        if (reaches_all[head * of.rows.query_len + query] == 0) return false;
      }
    }
    return true;
  }

  MASKERADE_KERNEL void operator()(std::int64_t list) const {
    const std::int64_t first_head = of.head(list) / of.options.together * of.options.together;
    const std::int64_t keys = budgets[first_head * of.rows.query_len + of.end(list) - 1];
    lengths[list] = of.visible_blocks(list);
    counts[list] =
        sdk::blocks_of_budget(keys, reaches(list, first_head), of.options.block, lengths[list]);
  }
};

// Finds the closed blocks: those in which no row of the heads that decide together sees an inactive
// key.
struct FindClosed {
  BlockRows of;
  std::uint8_t* closed;  // [list][key_blocks]

  MASKERADE_KERNEL bool is_open(std::int64_t row,
                                std::int64_t query,
                                std::int64_t key_begin,
                                std::int64_t key_end) const {
    const device::Rows rows(of.rows);
    for (std::int64_t word = key_begin / 64; word * 64 < key_end; ++word) {
      const std::uint64_t seen =
          device::range_bits(key_begin, key_end, word) & rows.visible_word(query, word);
      if (seen != 0 && (seen & ~rows.active_word(row, word)) != 0) return true;
    }
    return false;
  }
  MASKERADE_KERNEL void operator()(std::int64_t i) const {
    const std::int64_t list = i / of.key_blocks;
    const std::int64_t key_begin = i % of.key_blocks * of.options.block;
    const std::int64_t key_end = device::smaller(key_begin + of.options.block, of.rows.key_len);
    const std::int64_t together = of.options.together;
    const std::int64_t first_head = of.head(list) / together * together;
    bool open = false;
    for (std::int64_t head = first_head; head < first_head + together && !open; ++head) {
      for (std::int64_t query = of.begin(list); query < of.end(list) && !open; ++query) {
        open = is_open(head * of.rows.query_len + query, query, key_begin, key_end);
      }
    }
    closed[i] = open ? 0 : 1;
  }
};

// Packs the closed blocks of each list into bits.
struct PackClosed {
  BlockRows of;
  const std::uint8_t* closed;
  std::int64_t words;
  std::uint64_t* bits;  // [list][words]

  MASKERADE_KERNEL void operator()(std::int64_t i) const {
    const std::int64_t list = i / words;
    const std::int64_t first = i % words * 64;
    std::uint64_t word = 0;
    for (std::int64_t block = first; block < device::smaller(first + 64, of.key_blocks); ++block) {
      word |= static_cast<std::uint64_t>(closed[list * of.key_blocks + block]) << (block - first);
    }
    bits[i] = word;
  }
};

// Adds the keys of the blocks that each list takes.
struct AddBlocks {
  BlockRows of;
  const std::int64_t* list_of_query;  // [query_len]
  std::int64_t block_words;
  const std::uint64_t* taken;  // [list][block_words]

  MASKERADE_KERNEL std::uint64_t operator()(const device::Rows& rows,
                                            const device::MaskRow& at,
                                            std::int64_t word) const {
    const std::int64_t block = of.options.block;
    const std::int64_t list = at.row / rows.query_len * of.count + list_of_query[at.query];
    const std::int64_t end = device::smaller(word * 64 + 64, rows.visible_len(at.query));
    std::uint64_t keys = 0;
    for (std::int64_t number = word * 64 / block; number * block < end; ++number) {
      const std::uint64_t bits = taken[list * block_words + number / 64];
      if ((bits >> (number % 64) & 1U) == 0) continue;
      keys |= device::range_bits(number * block, (number + 1) * block, word);
    }
    return keys;
  }
};

}  // namespace

void select_on_device(const maskerade_cuda_call& call, const DeviceOptions& options) {
  const maskerade_shape& shape = call.shape;
  std::vector<std::int64_t> begins;
  std::vector<std::int64_t> list_of_query;
  for (std::int64_t query = 0; query < shape.query_len; ++query) {
    const bool is_first =
        query == 0 || maskerade_block_of(call.positions[query], options.block) !=
                          maskerade_block_of(call.positions[query - 1], options.block);
    if (is_first) begins.push_back(query);
    list_of_query.push_back(static_cast<std::int64_t>(begins.size()) - 1);
  }
  const auto count = static_cast<std::int64_t>(begins.size());
  begins.push_back(shape.query_len);
  const std::int64_t heads = shape.batch * shape.query_heads;
  const std::int64_t group = shape.query_heads / shape.kv_heads;
  const std::int64_t lists = heads * count;
  const std::int64_t key_blocks = (shape.key_len + options.block - 1) / options.block;
  const std::int64_t words = (key_blocks + 63) / 64;
  const std::int64_t stride = words * 64;
  constexpr auto kFloatBytes = static_cast<std::int64_t>(sizeof(float));
  const BlockRows of{call.rows, options, count, device::upload(call, begins.data(), begins.size()),
                     key_blocks};
  const std::int64_t* const numbers =
      device::upload(call, list_of_query.data(), list_of_query.size());
  const std::int64_t* const budgets =
      device::resolve_budgets(call, options.budget, options.is_total);
  const std::uint8_t* const reaches_all =
      device::find_reach(call, options.budget, options.is_total);
  auto* const pooled = device::allocate<float>(call, lists * shape.head_dim);
  auto* const scores = device::allocate<float>(call, lists * stride);
  auto* const lengths = device::allocate<std::int64_t>(call, lists);
  auto* const counts = device::allocate<std::int64_t>(call, lists);
  auto* const closed = device::allocate<std::uint8_t>(call, lists * key_blocks);
  auto* const excluded = device::allocate<std::uint64_t>(call, lists * words);
  auto* const taken = device::allocate<std::uint64_t>(call, lists * words);
  device::for_each(call, lists * shape.head_dim, PoolQueries{of, call.q, shape.head_dim, pooled});
  device::require_ok(call.services->multiply_rows(
      &call, pooled, lists, group * count, static_cast<const float*>(call.indexes),
      call.index_stride / kFloatBytes, shape.head_dim, key_blocks, shape.head_dim, scores, stride));
  device::pool_scores(call, scores, heads, options.together, count, stride, key_blocks,
                      options.sum);
  device::for_each(call, lists, FindCounts{of, budgets, reaches_all, lengths, counts});
  device::for_each(call, lists * key_blocks, FindClosed{of, closed});
  device::for_each(call, lists * words, PackClosed{of, closed, words, excluded});
  device::require_ok(call.services->top_bits(&call, lists, scores, stride, lengths, counts,
                                             excluded, taken, words));
  device::add_words(call, AddBlocks{of, numbers, words, taken});
  call.services->count_work(
      &call, lists * key_blocks,
      shape.batch * shape.kv_heads * key_blocks * shape.head_dim * kFloatBytes);
}

}  // namespace maskerade::block_mean_topk
