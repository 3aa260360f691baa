#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/shared_tiles.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::detail {

// Memory that is read soon, fetched into the second-level cache a few lines at a time between
// pieces of arithmetic. Rationale: tiles that few row blocks read lie far away, in runs too short
// for the processor to foresee; waiting for them took half as long as the arithmetic.
class FetchAhead {
 public:
  // tiles: of 64 keys in a kv head.
  explicit FetchAhead(std::int64_t tiles) : fetched_(static_cast<std::size_t>(tiles)) {}

  // Begins work on another kv head, or work that is far from what was fetched before.
  void start() { ++now_; }
  // Forgets what is left.
  void clear();
  // The keys and values of key blocks [begin, end) of the plan, which `rows` attend to, as they are
  // read: in order, where they lie or made ready in `shared`. Each once since start().
  void add_blocks(const AttentionInputs& inputs,
                  const CpuPlan& plan,
                  const SharedTiles& shared,
                  const RowBlock& rows,
                  std::int64_t begin,
                  std::int64_t end);
  void add_queries(const AttentionInputs& inputs, const RowBlock& rows);

  // Deals what was added into this many pieces.
  void deal(std::int64_t pieces);
  bool is_empty() const noexcept { return next_ == count_; }
  void fetch_piece();

 private:
  static constexpr std::int64_t kLineBytes = 64;
  static constexpr std::size_t kMostRanges = 32;

  // Rows stride_bytes apart.
  struct Range {
    const std::byte* first = nullptr;
    std::int64_t row_bytes = 0;
    std::int64_t stride_bytes = 0;
    std::int64_t rows = 0;
  };

  void add(const Range& range);
  void add_rows(const TensorView& tensor, const void* first, std::int64_t rows);

  std::vector<std::uint32_t> fetched_;  // by tile: when
  std::uint32_t now_ = 0;
  std::array<Range, kMostRanges> ranges_;
  std::size_t count_ = 0;
  std::size_t next_ = 0;
  std::int64_t at_ = 0;           // bytes of the next range's first row that are fetched
  std::int64_t piece_lines_ = 0;  // cache lines of a piece
};

}  // namespace maskerade::detail
