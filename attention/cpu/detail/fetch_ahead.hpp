#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/shared_tiles.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::detail {

// A list of memory that a worker will read soon. The worker calls fetch_piece() between pieces of
// arithmetic; each call prefetches a few cache lines of the list into the second-level cache.
// Rationale: tiles that few row blocks read come from memory, in runs too short for the processor's
// own prefetcher; waiting for them took half as long as the arithmetic.
//
// Use: start(), then for each step clear(), add_...(), deal(), and fetch_piece() repeatedly. Not
// thread-safe: each worker has its own.
class FetchAhead {
 public:
  // tiles: tiles of 64 keys that one kv head has.
  explicit FetchAhead(std::int64_t tiles) : fetched_(static_cast<std::size_t>(tiles)) {}

  // Forgets which tiles were fetched. Call it before work on another kv head, and before work that
  // begins so much later that fetched tiles may have left the cache.
  void start() { ++now_; }
  // Empties the list. Tiles that were added since start() still count as fetched.
  void clear();
  // Adds the keys and values of key blocks [begin, end) of the plan, which belong to `rows`: the
  // copy in `shared` where there is one, else the rows of k and v. Skips gathered key blocks, and
  // tiles that were added before since start().
  void add_blocks(const AttentionInputs& inputs,
                  const CpuPlan& plan,
                  const SharedTiles& shared,
                  const RowBlock& rows,
                  std::int64_t begin,
                  std::int64_t end);
  // Adds the rows of q of a row block.
  void add_queries(const AttentionInputs& inputs, const RowBlock& rows);

  // Divides the list into `pieces` (at least 1) pieces of equally many cache lines.
  void deal(std::int64_t pieces);
  // Whether everything was fetched.
  bool is_empty() const noexcept { return next_ == count_; }
  // Prefetches the next piece; does nothing when the list is empty.
  void fetch_piece();

 private:
  static constexpr std::int64_t kLineBytes = 64;
  static constexpr std::size_t kMostRanges = 32;

  // Rows of memory that are left to fetch, stride_bytes from one to the next.
  struct Range {
    const std::byte* first = nullptr;
    std::int64_t row_bytes = 0;
    std::int64_t stride_bytes = 0;
    std::int64_t rows = 0;
  };

  void add(const Range& range);
  void add_rows(const TensorView& tensor, const void* first, std::int64_t rows);

  std::vector<std::uint32_t> fetched_;  // [tiles] value of now_ when the tile was last added
  std::uint32_t now_ = 0;               // calls of start()
  std::array<Range, kMostRanges> ranges_;
  std::size_t count_ = 0;         // ranges
  std::size_t next_ = 0;          // range that is fetched next
  std::int64_t at_ = 0;           // bytes of its first row that are fetched already
  std::int64_t piece_lines_ = 0;  // cache lines of a piece
};

}  // namespace maskerade::detail
