#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "attention/cpu/cpu_plan.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/select/key_tile.hpp"
#include "framework/tensor/aligned_memory.hpp"

namespace maskerade::detail {

using Floats = std::unique_ptr<float[], FreeAligned>;

// Which (batch, kv head) a row block reads, counted through.
inline std::int64_t group_of(const RowBlock& rows, const AttentionShape& shape) {
  return rows.batch * shape.kv_heads + rows.kv_head;
}

// Row blocks [begin, end) of a plan, whole (batch, kv head) groups, attended to together.
struct Chunk {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// What the kernels make of the keys and values of up to 64 rows before they use them.
class TileForm {
 public:
  virtual ~TileForm() = default;

  // Memory of a tile's keys and of its values, in float32. value_floats = 0: values are read where
  // they lie, and none are made.
  std::int64_t key_floats() const { return key_floats_; }
  std::int64_t value_floats() const { return value_floats_; }
  virtual void make_keys(std::span<const void* const> rows, float* keys) const = 0;
  virtual void make_values(std::span<const void* const> rows, float* values) const = 0;

 protected:
  TileForm(std::int64_t key_floats, std::int64_t value_floats)
      : key_floats_(key_floats), value_floats_(value_floats) {}

 private:
  std::int64_t key_floats_;
  std::int64_t value_floats_;
};

// The tiles that several row blocks of a chunk read, made ready once.
class SharedTiles {
 public:
  // The tiles of a chunk fit the second-level caches of that many workers, or are those of one
  // group. form stays.
  SharedTiles(const AttentionInputs& inputs,
              const CpuPlan& plan,
              const TileForm& form,
              int workers);

  // The chunk from row block `begin` on whose tiles fit the memory set apart for them.
  Chunk chunk_from(std::int64_t begin) const;
  // Forgets the chunk before.
  void prepare(const Chunk& chunk, const Threads& threads);

  // A tile's keys and values in their form (nullptr: in place).
  struct Tile {
    const float* keys = nullptr;
    const float* values = nullptr;
  };
  const TileForm& form() const noexcept { return form_; }
  std::int64_t tiles() const noexcept { return tiles_; }  // of a kv head
  // What is shared of a key block; keys = nullptr: nothing.
  Tile find(const RowBlock& rows, const KeyBlock& block) const;

 private:
  struct Source {
    std::int64_t batch = 0;
    std::int64_t kv_head = 0;
    std::int64_t tile = 0;
  };

  std::int64_t whole_tile(const KeyBlock& block) const;
  void count_uses();
  void choose_slots(const Chunk& chunk);
  void fill_slot(std::int64_t slot);

  const AttentionInputs& inputs_;
  const CpuPlan& plan_;
  const TileForm& form_;
  std::int64_t shared_bytes_ = 0;
  std::int64_t tiles_ = 0;                     // of a kv head
  std::vector<std::int32_t> uses_;             // [group][tile]: row blocks that read it
  std::vector<std::int64_t> shared_in_group_;  // tiles of a group that are shared
  std::int64_t first_group_ = 0;
  std::vector<Source> sources_;      // by slot
  std::vector<std::int32_t> slots_;  // [group within the chunk][tile]: slot, or -1
  std::int64_t capacity_ = 0;        // slots that there is room for
  Floats keys_;
  Floats values_;
};

}  // namespace maskerade::detail
