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

// The index in [batch, kv_heads] of the kv head that a row block reads. Row blocks of one index are
// a group, here and in task_list.hpp.
inline std::int64_t group_of(const RowBlock& rows, const AttentionShape& shape) {
  return rows.batch * shape.kv_heads + rows.kv_head;
}

// Row blocks [begin, end) of a plan, which are attended to together: all those of one or several
// groups.
struct Chunk {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// A layout into which the kernels bring the keys and the values of a tile, up to 64 of each, before
// they multiply them.
class TileForm {
 public:
  virtual ~TileForm() = default;

  // Memory of a tile's keys and of its values, in units of 4 bytes. value_floats() is 0 when the
  // kernels read values in place; make_values() is then not called.
  std::int64_t key_floats() const { return key_floats_; }
  std::int64_t value_floats() const { return value_floats_; }
  // Fill keys[key_floats()] and values[value_floats()], aligned to 64 bytes, from rows of k and of
  // v as they are stored. [any thread]
  virtual void make_keys(std::span<const void* const> rows, float* keys) const = 0;
  virtual void make_values(std::span<const void* const> rows, float* values) const = 0;

 protected:
  TileForm(std::int64_t key_floats, std::int64_t value_floats)
      : key_floats_(key_floats), value_floats_(value_floats) {}

 private:
  std::int64_t key_floats_;
  std::int64_t value_floats_;
};

// The tiles of keys and values that several row blocks of a chunk read, each brought into its form
// once for all of them.
class SharedTiles {
 public:
  // workers: the thread count; the memory for shared tiles grows with it, as their second-level
  // caches do. Keeps references to the inputs, the plan and the form.
  SharedTiles(const AttentionInputs& inputs,
              const CpuPlan& plan,
              const TileForm& form,
              int workers);

  // The longest chunk from row block `begin` on whose shared tiles fit the memory for them; at
  // least one group.
  Chunk chunk_from(std::int64_t begin) const;
  // Makes the shared tiles of a chunk, in parallel, and forgets those of the chunk before.
  void prepare(const Chunk& chunk, const Threads& threads);

  // A shared tile's keys and values in their form, valid until the next prepare(). keys is nullptr
  // when the tile is not shared; values also when they are read in place.
  struct Tile {
    const float* keys = nullptr;
    const float* values = nullptr;
  };
  const TileForm& form() const noexcept { return form_; }
  std::int64_t tiles() const noexcept { return tiles_; }  // tiles of a kv head
  // The shared tile of a key block of a row block of the prepared chunk. [any thread]
  Tile find(const RowBlock& rows, const KeyBlock& block) const;

 private:
  // Which tile of k and v a slot holds.
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
  std::int64_t tiles_ = 0;                     // tiles of a kv head
  std::vector<std::int32_t> uses_;             // [group][tile]: row blocks that read it
  std::vector<std::int64_t> shared_in_group_;  // [group] tiles that are shared
  std::int64_t first_group_ = 0;               // of the prepared chunk
  std::vector<Source> sources_;                // [slots]
  std::vector<std::int32_t> slots_;            // [group within the chunk][tile]: slot, or -1
  std::int64_t capacity_ = 0;                  // slots that keys_ and values_ have room for
  Floats keys_;                                // [capacity_][key_floats]
  Floats values_;                              // [capacity_][value_floats]
};

}  // namespace maskerade::detail
