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

// An entry of a key block with probability p < 1. Attending subtracts ln p from its logit.
struct PlannedSample {
  std::int16_t row = 0;       // of the row block
  std::int16_t column = 0;    // of the key block
  float log_probability = 0;  // ln p
};

// Up to 64 keys that a row block attends to: its columns.
struct KeyBlock {
  std::int64_t first_key = 0;  // the columns are keys first_key to first_key + count - 1, unless
  // list_offset >= 0: then they are key_list[list_offset] to key_list[list_offset + count - 1].
  std::int64_t list_offset = -1;
  std::int32_t count = 0;
  // bits[bits_offset + row] has a bit for each column that a row attends to, sampled ones included.
  // -1: every row attends to every column.
  std::int64_t bits_offset = -1;
  std::int64_t samples_begin = 0;  // its samples are samples[samples_begin] to
  std::int64_t samples_end = 0;    // samples[samples_end - 1]
};

inline constexpr std::int64_t kMaxRows = 64;  // the most rows of a row block

// Up to kMaxRows query rows that read one kv head, and the key blocks that they attend to. Row r is
// query first_query + r % queries of head first_head + r / queries.
struct RowBlock {
  std::int64_t batch = 0;
  std::int64_t kv_head = 0;
  std::int64_t first_head = 0;
  std::int64_t first_query = 0;
  std::int32_t heads = 0;
  std::int32_t queries = 0;
  // It attends to key_blocks[blocks_begin] to key_blocks[blocks_end - 1], which other row blocks
  // may attend to, too.
  std::int64_t blocks_begin = 0;
  std::int64_t blocks_end = 0;
  // The walk that planned this block. Execution does not depend on it.
  Walk walk = Walk::kDense;

  std::int64_t rows() const noexcept { return std::int64_t{heads} * queries; }
};

// What the CPU kernels read for a mask, and in which order. At decode the query heads of one kv
// group are the rows of one block, so that K and V are read once for the group.
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
  // Bytes of K and V that attending reads: a key block counts once for each row block that has it.
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

// The time that the costs predict for attending to the whole plan with one worker, in nanoseconds.
double predicted_ns(const CpuPlan& plan, DType dtype, const CostModel& costs);

}  // namespace maskerade
