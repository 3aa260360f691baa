#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/attention_output.hpp"
#include "attention/cost_model.hpp"
#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"

namespace maskerade {

// How the active keys are walked. All give the same result within rounding.
enum class Kernel {
  kDense,  // every visible tile, the mask applied: what a dense kernel does with a mask
  kTiles,  // the tiles that hold an active entry
  kRows,   // only the active keys, gathered: decode and scattered selections
};
std::string_view name_of(Kernel kernel) noexcept;  // "dense", "tiles", "rows"
std::optional<Kernel> parse_kernel(std::string_view name) noexcept;

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
  Kernel kernel = Kernel::kDense;  // that planned it; attending is the same for all

  std::int64_t rows() const noexcept { return std::int64_t{heads} * queries; }
};

// A mask made ready for the CPU kernels: what to read, in which order. At decode the query heads of
// one kv group are stacked as rows, so that K and V are read once for the group.
struct Plan {
  AttentionShape shape;
  std::vector<RowBlock> row_blocks;
  std::vector<KeyBlock> key_blocks;
  std::vector<std::uint64_t> bits;
  std::vector<std::int32_t> key_list;
  std::vector<PlannedSample> samples;

  // The kernels by their share of the row blocks: "tiles", "tiles 82%, dense 18%"; "" without any.
  std::string kernel_mix() const;
  // Bytes of K and V that attend reads, after the union over a row block's rows.
  std::int64_t kv_bytes_touched(DType dtype) const noexcept;
  std::int64_t size_bytes() const noexcept;
};

// Throws ShapeError unless the mask's lengths and extent fit the shape.
void check_fit(const Mask& mask, const AttentionShape& shape);

// The plan of a mask for a kernel; nullopt: for each tile row the kernel that the costs say is the
// cheapest for inputs of this dtype, where dense means that tiles would leave nothing out. The
// costs also say how many queries share a row block of the rows kernel. The mask's extent must fit
// the shape (ShapeError otherwise).
Plan make_plan(const Mask& mask,
               const AttentionShape& shape,
               std::optional<Kernel> kernel,
               DType dtype,
               const CostModel& costs,
               const Threads& threads);
// By the default costs of float32.
Plan make_plan(const Mask& mask,
               const AttentionShape& shape,
               std::optional<Kernel> kernel,
               const Threads& threads);

}  // namespace maskerade
