#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/backend/backend.hpp"
#include "attention/cpu/cost_model.hpp"
#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"

namespace maskerade {

// Which keys the CPU kernels read. All give the same result within rounding.
enum class Walk {
  kDense,  // every visible tile, the mask applied: what a dense kernel does with a mask
  kTiles,  // the tiles that hold an active entry
  kRows,   // only the active keys, gathered: decode and scattered selections
};
std::string_view name_of(Walk walk) noexcept;  // "dense", "tiles", "rows"

// One entry of probability p < 1 in a key block: logit -= log_probability.
struct PlannedSample {
  std::int16_t row = 0;     // within the row block
  std::int16_t column = 0;  // within the key block
  float log_probability = 0;
};

// Up to 64 keys that a row block attends to.
struct KeyBlock {
  std::int64_t first_key = 0;     // contiguous: keys first_key ... first_key + count - 1
  std::int64_t list_offset = -1;  // >= 0: gathered; keys are key_list[list_offset ... + count)
  std::int32_t count = 0;
  std::int64_t bits_offset =
      -1;  // >= 0: bits[bits_offset + row] are the active columns of each row;
           //       -1: all columns of all rows are active
  std::int64_t samples_begin = 0;  // in samples; sampled columns are also set in the bits
  std::int64_t samples_end = 0;
};

inline constexpr std::int64_t kMaxRows = 64;  // of a row block

// Up to kMaxRows query rows that read one kv head, and the key blocks that they attend to. Rows are
// (head, query): head = first_head + r / queries, query = first_query + r % queries.
struct RowBlock {
  std::int64_t batch = 0;
  std::int64_t kv_head = 0;
  std::int64_t first_head = 0;
  std::int64_t first_query = 0;
  std::int32_t heads = 0;
  std::int32_t queries = 0;
  std::int64_t blocks_begin = 0;  // in key_blocks; row blocks may share key blocks
  std::int64_t blocks_end = 0;
  Walk walk = Walk::kDense;  // The planner that made this block. Execution does not depend on it.

  std::int64_t rows() const noexcept { return std::int64_t{heads} * queries; }
};

// A mask made ready for the CPU kernels: what to read, in which order. At decode the query heads of
// one kv group are stacked as rows, so that K and V are read once for the group.
struct CpuPlan {
  AttentionShape shape;
  std::vector<RowBlock> row_blocks;
  std::vector<KeyBlock> key_blocks;
  std::vector<std::uint64_t> bits;
  std::vector<std::int32_t> key_list;
  std::vector<PlannedSample> samples;

  // The row blocks of each walk, in the order of the enumeration, zeros included.
  std::vector<KernelShare> kernel_shares() const;
  std::string kernel_mix() const { return maskerade::kernel_mix(kernel_shares()); }
  // Bytes of K and V that attend reads, after the union over a row block's rows.
  std::int64_t kv_bytes_touched(DType dtype) const noexcept;
  std::int64_t size_bytes() const noexcept;
};

// Plans a mask by one walk, or (nullopt) each tile row by the walk that the costs predict to be the
// fastest for inputs of this dtype. A tile row is then called dense where tiles leave nothing out.
// The costs also decide how many queries share a row block of the rows walk. Throws ShapeError when
// the mask does not fit the shape.
CpuPlan make_cpu_plan(const Mask& mask,
                      const AttentionShape& shape,
                      std::optional<Walk> walk,
                      DType dtype,
                      const CostModel& costs,
                      const Threads& threads);
// The same with the default costs of float32.
CpuPlan make_cpu_plan(const Mask& mask,
                      const AttentionShape& shape,
                      std::optional<Walk> walk,
                      const Threads& threads);

// What the costs predict that attending to the plan takes, in nanoseconds of one worker.
double predicted_ns(const CpuPlan& plan, DType dtype, const CostModel& costs);

}  // namespace maskerade
