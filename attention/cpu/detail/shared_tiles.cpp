#include "attention/cpu/detail/shared_tiles.hpp"

#include <algorithm>

#include "attention/cpu/detail/few_rows.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"

namespace maskerade::detail {
namespace {

// Memory of a chunk's shared tiles: so much for each worker, and at most kMostBytes in all.
constexpr std::int64_t kWorkerBytes = std::int64_t{1} << 20;
constexpr std::int64_t kMostBytes = std::int64_t{64} << 20;
// A tile is shared from this many row blocks on that read it. Rationale: a shared tile is written
// to memory and read again, which costs about as much as making it a second time.
constexpr std::int32_t kSharedFrom = 3;

}  // namespace

SharedTiles::SharedTiles(const AttentionInputs& inputs,
                         const CpuPlan& plan,
                         const TileForm& form,
                         int workers)
    : inputs_(inputs),
      plan_(plan),
      form_(form),
      shared_bytes_(std::min(kMostBytes, workers * kWorkerBytes)),
      tiles_((inputs.shape.key_len + kPackedKeys - 1) / kPackedKeys) {
  count_uses();
}

// The tile's number within its kv head when the key block is one whole tile of keys in order; else
// -1.
std::int64_t SharedTiles::whole_tile(const KeyBlock& block) const {
  if (block.list_offset >= 0 || block.first_key % kPackedKeys != 0) return -1;
  const bool whole = block.count == std::min(kPackedKeys, inputs_.shape.key_len - block.first_key);
  return whole ? block.first_key / kPackedKeys : -1;
}

// Groups without shared tiles take no memory, so that a chunk may hold many of them.
Chunk SharedTiles::chunk_from(std::int64_t begin) const {
  const auto& blocks = plan_.row_blocks;
  const auto group = [&](std::int64_t r) {
    return group_of(blocks[static_cast<std::size_t>(r)], inputs_.shape);
  };
  const std::int64_t tile_bytes =
      (form_.key_floats() + form_.value_floats()) * static_cast<std::int64_t>(sizeof(float));
  std::int64_t bytes = 0;
  std::int64_t last = -1;  // the last group that was counted
  Chunk chunk{begin, begin};
  for (; chunk.end < static_cast<std::int64_t>(blocks.size()); ++chunk.end) {
    if (group(chunk.end) == last) continue;
    last = group(chunk.end);
    bytes += shared_in_group_[static_cast<std::size_t>(last)] * tile_bytes;
    if (bytes > shared_bytes_ && chunk.end > begin) break;
  }
  return chunk;
}

// Sets uses_ and shared_in_group_.
void SharedTiles::count_uses() {
  const std::int64_t groups = inputs_.shape.batch * inputs_.shape.kv_heads;
  uses_.assign(static_cast<std::size_t>(groups * tiles_), 0);
  shared_in_group_.assign(static_cast<std::size_t>(groups), 0);
  for (const RowBlock& rows : plan_.row_blocks) {
    if (few_rows_serve(inputs_, rows)) continue;  // reads k and v in place
    const std::int64_t group = group_of(rows, inputs_.shape);
    for (std::int64_t k = rows.blocks_begin; k < rows.blocks_end; ++k) {
      const std::int64_t tile = whole_tile(plan_.key_blocks[static_cast<std::size_t>(k)]);
      if (tile < 0) continue;
      std::int32_t& uses = uses_[static_cast<std::size_t>(group * tiles_ + tile)];
      if (++uses == kSharedFrom) ++shared_in_group_[static_cast<std::size_t>(group)];
    }
  }
}

// Sets first_group_, slots_ and sources_ for a chunk.
void SharedTiles::choose_slots(const Chunk& chunk) {
  const auto& blocks = plan_.row_blocks;
  sources_.clear();
  first_group_ = group_of(blocks[static_cast<std::size_t>(chunk.begin)], inputs_.shape);
  const std::int64_t groups =
      group_of(blocks[static_cast<std::size_t>(chunk.end - 1)], inputs_.shape) - first_group_ + 1;
  slots_.resize(static_cast<std::size_t>(groups * tiles_));
  const std::int32_t* uses = uses_.data() + first_group_ * tiles_;
  const std::int64_t limit =
      std::max<std::int64_t>(1, kMostBytes / ((form_.key_floats() + form_.value_floats()) *
                                              static_cast<std::int64_t>(sizeof(float))));
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const auto slot = static_cast<std::int64_t>(sources_.size());
    const bool keep = uses[i] >= kSharedFrom && slot < limit;
    slots_[i] = keep ? static_cast<std::int32_t>(slot) : -1;
    if (!keep) continue;
    const std::int64_t group = first_group_ + static_cast<std::int64_t>(i) / tiles_;
    sources_.push_back({group / inputs_.shape.kv_heads, group % inputs_.shape.kv_heads,
                        static_cast<std::int64_t>(i) % tiles_});
  }
}

// Makes the tile of a slot.
void SharedTiles::fill_slot(std::int64_t slot) {
  const Source& source = sources_[static_cast<std::size_t>(slot)];
  const std::int64_t first = source.tile * kPackedKeys;
  const std::int64_t count = std::min(kPackedKeys, inputs_.shape.key_len - first);
  const void* rows[kPackedKeys];
  const std::span<const void* const> used(rows, static_cast<std::size_t>(count));
  for (std::int64_t j = 0; j < count; ++j) {
    rows[j] = inputs_.k.row(source.batch, source.kv_head, first + j);
  }
  form_.make_keys(used, keys_.get() + slot * form_.key_floats());
  if (form_.value_floats() == 0) return;
  for (std::int64_t j = 0; j < count; ++j) {
    rows[j] = inputs_.v.row(source.batch, source.kv_head, first + j);
  }
  form_.make_values(used, values_.get() + slot * form_.value_floats());
}

void SharedTiles::prepare(const Chunk& chunk, const Threads& threads) {
  choose_slots(chunk);
  const auto slots = static_cast<std::int64_t>(sources_.size());
  if (slots > capacity_) {
    keys_ = aligned_floats(static_cast<std::size_t>(slots * form_.key_floats()));
    if (form_.value_floats() > 0)
      values_ = aligned_floats(static_cast<std::size_t>(slots * form_.value_floats()));
    capacity_ = slots;
  }
  threads.for_each(slots, [&](std::int64_t slot, int) { fill_slot(slot); });
}

SharedTiles::Tile SharedTiles::find(const RowBlock& rows, const KeyBlock& block) const {
  const std::int64_t tile = whole_tile(block);
  if (tile < 0) return {};
  const std::int64_t group = group_of(rows, inputs_.shape) - first_group_;
  const std::int32_t slot = slots_[static_cast<std::size_t>(group * tiles_ + tile)];
  if (slot < 0) return {};
  return {keys_.get() + slot * form_.key_floats(),
          form_.value_floats() > 0 ? values_.get() + slot * form_.value_floats() : nullptr};
}

}  // namespace maskerade::detail
