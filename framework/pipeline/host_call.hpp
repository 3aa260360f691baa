#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/parallel.hpp"
#include "framework/base/philox.hpp"
#include "framework/mask/tile_row_builder.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/plugin/parameters.hpp"
#include "framework/sdk/masker_abi.h"
#include "framework/select/draw.hpp"
#include "framework/select/top_k.hpp"

namespace maskerade {

// What all calls of one masker in one selection share. Everything that it points to outlives it.
struct MaskerContext {
  const AttentionInputs* inputs = nullptr;
  std::uint64_t seed = 0;
  std::uint32_t place = 0;       // the masker's number in the pipeline, from 0
  std::uint32_t depends_on = 0;  // MASKERADE_DEPENDS_*: what the masker may read
  bool may_sample = false;       // whether it may add entries with probability below 1
  // The keys that it may give a probability below 1; nullopt: its arguments do not bound them.
  std::optional<KeyPopulation> population;
  const maskerade_host* host = nullptr;  // that of the masker's instance
  std::span<const void* const> indexes;  // [batch * kv_heads]; empty for a masker without an index
};

// The rows of one call of select().
struct CallRows {
  std::int64_t batch = 0;
  std::int64_t head_begin = 0;
  std::int64_t head_end = 0;
  std::int64_t query_begin = 0;  // at a tile row's first query
  std::int64_t query_end = 0;    // likewise, or query_len
};

// Throws Error when a masker counts less than no work.
void require_counts(std::int64_t keys_scored, std::int64_t bytes_read);

// The host's side of select(): the call that a masker gets, and the services that act on it. One
// object serves the calls of one thread, one after another, and keeps its memory between them.
class HostCall {
 public:
  // parts: the threads that share the scoring of one call's keys.
  HostCall(const MaskerContext& context, const Threads& parts);
  HostCall(const HostCall&) = delete;
  HostCall& operator=(const HostCall&) = delete;

  // Begins a call over `rows`, in which the entries of `previous` are active.
  void start(const CallRows& rows, const Mask& previous);
  const maskerade_call& call() const noexcept { return call_; }

  // Why the first service that refused in this call did; "" when none did.
  const std::string& failure() const noexcept { return failure_; }
  // The canonical tile row of a head of the call that begins with query `first_query`: what was
  // active and what the masker added.
  TileRow finish(std::int64_t head, std::int64_t first_query) const;

  // Counted over all calls of this object, at most the largest integer.
  std::int64_t keys_scored() const noexcept { return keys_scored_; }
  std::int64_t bytes_read() const noexcept { return bytes_read_; }

 private:
  friend struct HostServices;  // the C functions over this class

  // A row of the call, and the builder that collects its entries.
  struct BuilderRow {
    TileRowBuilder* builder;
    int row;  // its number in the builder's tile row
    std::int64_t head;
    std::int64_t query;
  };
  // The row of that number in the call. Throws Error when there is no such row.
  BuilderRow builder_row(std::int64_t row) const;
  const AttentionShape& shape() const noexcept { return context_.inputs->shape; }
  void require_declared(std::uint32_t flags, const char* service) const;

  void add_range(std::int64_t row_begin,
                 std::int64_t row_end,
                 std::int64_t key_begin,
                 std::int64_t key_end);
  void add_keys(std::int64_t row, std::span<const std::int32_t> keys, const float* probabilities);
  void active_bits(std::int64_t row, std::int64_t first_key, std::span<std::uint64_t> words) const;
  void load_queries(std::int64_t row_begin, std::int64_t row_end);
  void count_keys_read(std::int64_t keys);
  void count_work(std::int64_t keys_scored, std::int64_t bytes_read);
  void score_keys_of(std::int64_t kv_head,
                     int rows,
                     std::int64_t begin,
                     std::int64_t end,
                     float* scores,
                     std::int64_t stride);
  void score_tiles(std::int64_t kv_head,
                   int rows,
                   std::int64_t begin,
                   std::int64_t end,
                   float* scores,
                   std::int64_t stride);
  std::int64_t end_of_group(std::int64_t first, std::int64_t row_end, std::int64_t most) const;
  const float* packed(std::int64_t kv_head, std::int64_t tile);
  void score_range(std::int64_t row_begin,
                   std::int64_t row_end,
                   std::int64_t begin,
                   std::int64_t end,
                   float* scores,
                   std::int64_t stride);
  void score_keys(std::int64_t row, std::span<const std::int32_t> keys, float* scores);
  void add_top_scores(std::int64_t row,
                      const float* scores,
                      std::int64_t key_begin,
                      std::int64_t key_end,
                      std::int64_t count);
  void add_top_products(std::int64_t row_begin, std::int64_t row_end, const std::int64_t* counts);
  // Sets excluded_, one bit per key from 64 * first_tile on: the active keys of a row before `end`,
  // and every key before first_key.
  void exclude(const BuilderRow& at,
               std::int64_t first_tile,
               std::int64_t first_key,
               std::int64_t end);
  void add_top(const BuilderRow& at,
               std::span<const float> scores,
               std::int64_t first_tile,
               std::int64_t first_key,
               std::int64_t count);
  RandomField random(std::int64_t head, std::uint32_t purpose) const;
  std::size_t draw(std::int64_t row,
                   std::uint32_t purpose,
                   std::int64_t key_begin,
                   std::int64_t key_end,
                   std::size_t count,
                   std::int32_t* keys,
                   std::size_t* population);

  const MaskerContext& context_;
  const Threads& parts_;
  CallRows rows_;
  maskerade_call call_{};                 // as the masker is shown it
  std::vector<TileRowBuilder> builders_;  // [heads of the call][tile rows of the call]
  std::int64_t tile_height_;
  std::int64_t tile_rows_ = 0;
  std::string failure_;
  std::pmr::monotonic_buffer_resource scratch_;
  // Packed key tiles of kv head packed_head_ of the call's batch entry. Tile t lies in slot t %
  // packed_tiles_.size() while packed_tiles_ of that slot is t.
  std::unique_ptr<float[], FreeAligned> packed_;
  std::vector<std::int64_t> packed_tiles_;
  std::int64_t packed_head_ = -1;
  std::vector<float> queries_;  // [rows scored together][head_dim]
  std::vector<float> scores_;
  std::vector<std::uint64_t> excluded_;
  TopK top_k_;
  Draw draw_;
  std::int64_t keys_scored_ = 0;
  std::int64_t bytes_read_ = 0;
};

}  // namespace maskerade
