#include "attention/cpu/cpu_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "attention/cpu/detail/piece.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

using detail::Part;
using detail::Piece;

constexpr std::array<std::pair<Walk, std::string_view>, 3> kWalkNames = {
    {{Walk::kDense, "dense"}, {Walk::kTiles, "tiles"}, {Walk::kRows, "rows"}}};

// A piece as one part of the problem reads it: problems that broadcast a mask read a piece often.
struct PieceUse {
  std::int64_t batch = 0;
  std::int64_t kv_head = 0;
  std::int64_t first_head = 0;
  std::size_t piece = 0;
};

// The pieces of a mask, each once, and the uses that a shape makes of them.
struct Layout {
  std::vector<Piece> pieces;
  std::vector<PieceUse> uses;  // in the order of the row blocks
};

Layout lay_out(const Mask& mask, const AttentionShape& shape) {
  const MaskExtent extent = mask.extent();
  const std::int64_t group = shape.group_size();
  const std::int64_t tile_rows = mask.tile_row_count();
  Layout layout;
  std::map<std::array<std::int64_t, 3>, std::size_t> first_pieces;  // of a run of tile rows
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t kv = 0; kv < shape.kv_heads; ++kv) {
      for (std::int64_t h = 0; h < group; h += kMaxRows) {
        Piece piece{.mask_batch = mask.extent_batch(b),
                    .mask_head = mask.extent_head(kv * group + h, shape.query_heads),
                    .heads = std::min(kMaxRows, group - h),
                    .is_shared = extent.heads != shape.query_heads};
        const auto [first, is_new] = first_pieces.try_emplace(
            {piece.mask_batch, piece.mask_head, piece.heads}, layout.pieces.size());
        for (piece.tile_row = 0; piece.tile_row < tile_rows; ++piece.tile_row) {
          if (is_new) layout.pieces.push_back(piece);
          layout.uses.push_back(
              {b, kv, kv * group + h, first->second + static_cast<std::size_t>(piece.tile_row)});
        }
      }
    }
  }
  return layout;
}

// Where the elements of a part begin in the arrays of the plan.
struct Offsets {
  std::int64_t key_blocks = 0;
  std::int64_t bits = 0;
  std::int64_t key_list = 0;
  std::int64_t samples = 0;
};

void copy_part(const Part& part, const Offsets& at, CpuPlan& plan) {
  for (std::size_t i = 0; i < part.key_blocks.size(); ++i) {
    KeyBlock block = part.key_blocks[i];
    if (block.list_offset >= 0) block.list_offset += at.key_list;
    if (block.bits_offset >= 0) block.bits_offset += at.bits;
    block.samples_begin += at.samples;
    block.samples_end += at.samples;
    plan.key_blocks[static_cast<std::size_t>(at.key_blocks) + i] = block;
  }
  std::copy(part.bits.begin(), part.bits.end(), plan.bits.begin() + at.bits);
  std::copy(part.key_list.begin(), part.key_list.end(), plan.key_list.begin() + at.key_list);
  std::copy(part.samples.begin(), part.samples.end(), plan.samples.begin() + at.samples);
}

// The row blocks of a piece: [begin, end) of a part's.
struct RowBlocksOfPiece {
  std::size_t part = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Whether no other row blocks read the same K and V from a cache (BlockWork::is_decode).
bool is_decode(const AttentionShape& shape) { return shape.query_len <= kFewRows; }

// The pieces are divided into at most this many parts, which threads plan on their own: enough for
// all threads, and few enough that allocations do not matter.
constexpr std::int64_t kParts = 256;

// The first piece of part p, when `pieces` are divided evenly into `parts`.
std::int64_t first_piece(std::int64_t p, std::int64_t parts, std::int64_t pieces) {
  return p * pieces / parts;
}

}  // namespace

std::string_view name_of(Walk walk) noexcept {
  for (const auto& [value, name] : kWalkNames) {
    if (value == walk) return name;
  }
  return "unknown";
}

std::vector<KernelShare> CpuPlan::kernel_shares() const {
  std::vector<KernelShare> shares;
  for (const auto& [walk, name] : kWalkNames) {
    const auto walks_so = [wanted = walk](const RowBlock& rows) { return rows.walk == wanted; };
    shares.push_back({std::string(name), std::ranges::count_if(row_blocks, walks_so)});
  }
  return shares;
}

std::int64_t CpuPlan::kv_bytes_touched(DType dtype) const noexcept {
  std::int64_t keys = 0;
  for (const RowBlock& rows : row_blocks) {
    for (std::int64_t k = rows.blocks_begin; k < rows.blocks_end; ++k) {
      keys += key_blocks[static_cast<std::size_t>(k)].count;
    }
  }
  return keys * 2 * shape.head_dim * static_cast<std::int64_t>(size_of(dtype));
}

std::int64_t CpuPlan::size_bytes() const noexcept {
  return static_cast<std::int64_t>(
      row_blocks.size() * sizeof(RowBlock) + key_blocks.size() * sizeof(KeyBlock) +
      bits.size() * sizeof(std::uint64_t) + key_list.size() * sizeof(std::int32_t) +
      samples.size() * sizeof(PlannedSample));
}

CpuPlan make_cpu_plan(const Mask& mask,
                      const AttentionShape& shape,
                      std::optional<Walk> walk,
                      DType dtype,
                      const CostModel& costs,
                      const Threads& threads) {
  check_fit(mask, shape);
  const Layout layout = lay_out(mask, shape);
  const detail::Choice choice{walk, dtype, shape.head_dim, costs, is_decode(shape)};
  const auto pieces = static_cast<std::int64_t>(layout.pieces.size());
  const std::int64_t part_count = std::min(pieces, kParts);
  std::vector<Part> parts(static_cast<std::size_t>(part_count));
  std::vector<RowBlocksOfPiece> row_blocks(layout.pieces.size());
  threads.for_each(part_count, [&](std::int64_t p, int) {
    Part& part = parts[static_cast<std::size_t>(p)];
    for (std::int64_t i = first_piece(p, part_count, pieces);
         i < first_piece(p + 1, part_count, pieces); ++i) {
      const auto at = static_cast<std::size_t>(i);
      row_blocks[at] = {static_cast<std::size_t>(p), part.row_blocks.size()};
      detail::plan_piece(mask, layout.pieces[at], choice, part);
      row_blocks[at].end = part.row_blocks.size();
    }
  });

  std::vector<Offsets> offsets(parts.size());
  Offsets end;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    offsets[i] = end;
    end.key_blocks += static_cast<std::int64_t>(parts[i].key_blocks.size());
    end.bits += static_cast<std::int64_t>(parts[i].bits.size());
    end.key_list += static_cast<std::int64_t>(parts[i].key_list.size());
    end.samples += static_cast<std::int64_t>(parts[i].samples.size());
  }
  CpuPlan plan;
  plan.shape = shape;
  plan.key_blocks.resize(static_cast<std::size_t>(end.key_blocks));
  plan.bits.resize(static_cast<std::size_t>(end.bits));
  plan.key_list.resize(static_cast<std::size_t>(end.key_list));
  plan.samples.resize(static_cast<std::size_t>(end.samples));
  threads.for_each(part_count, [&](std::int64_t p, int) {
    copy_part(parts[static_cast<std::size_t>(p)], offsets[static_cast<std::size_t>(p)], plan);
  });
  for (const PieceUse& use : layout.uses) {
    const RowBlocksOfPiece& from = row_blocks[use.piece];
    for (std::size_t i = from.begin; i < from.end; ++i) {
      RowBlock rows = parts[from.part].row_blocks[i];
      rows.batch = use.batch;
      rows.kv_head = use.kv_head;
      rows.first_head += use.first_head;
      rows.blocks_begin += offsets[from.part].key_blocks;
      rows.blocks_end += offsets[from.part].key_blocks;
      plan.row_blocks.push_back(rows);
    }
  }
  return plan;
}

CpuPlan make_cpu_plan(const Mask& mask,
                      const AttentionShape& shape,
                      std::optional<Walk> walk,
                      const Threads& threads) {
  return make_cpu_plan(mask, shape, walk, DType::kFloat32, CostModel::defaults(), threads);
}

double predicted_ns(const CpuPlan& plan, DType dtype, const CostModel& costs) {
  double ns = 0;
  for (const RowBlock& rows : plan.row_blocks) {
    BlockWork work{.rows = rows.rows(), .is_decode = is_decode(plan.shape)};
    for (std::int64_t i = rows.blocks_begin; i < rows.blocks_end; ++i) {
      const KeyBlock& block = plan.key_blocks[static_cast<std::size_t>(i)];
      work.keys += block.count;
      if (block.list_offset >= 0) work.gathered_keys += block.count;
      if (block.bits_offset >= 0) work.masked_keys += block.count;
    }
    ns += costs.block_ns(dtype, plan.shape.head_dim, work);
  }
  return ns;
}

}  // namespace maskerade
