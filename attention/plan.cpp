#include "attention/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "attention/detail/piece.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

using detail::Part;
using detail::Piece;

constexpr std::array<std::pair<Kernel, std::string_view>, 3> kKernelNames = {
    {{Kernel::kDense, "dense"}, {Kernel::kTiles, "tiles"}, {Kernel::kRows, "rows"}}};

void check_fit(const Mask& mask, const AttentionShape& shape) {
  shape.validate();
  const MaskExtent extent = mask.extent();
  if (mask.query_len() != shape.query_len || mask.key_len() != shape.key_len) {
    throw ShapeError(fmt::format("the mask is {} x {}; the shape asks for {} x {}",
                                 mask.query_len(), mask.key_len(), shape.query_len, shape.key_len));
  }
  if (extent.batch != 1 && extent.batch != shape.batch) {
    throw ShapeError(fmt::format("the mask has batch {}; the shape asks for 1 or {}", extent.batch,
                                 shape.batch));
  }
  if (extent.heads != 1 && extent.heads != shape.kv_heads && extent.heads != shape.query_heads) {
    throw ShapeError(fmt::format("the mask has {} heads; the shape asks for 1, {} or {}",
                                 extent.heads, shape.kv_heads, shape.query_heads));
  }
}

// Heads of a group that are stacked as rows.
std::int64_t stacked_heads(const AttentionShape& shape, const Mask& mask, Kernel kernel) {
  const std::int64_t room =
      kernel == Kernel::kRows ? kMaxRows : kMaxRows / mask.tile_height();
  return std::clamp<std::int64_t>(room, 1, shape.group_size());
}

std::vector<Piece> make_pieces(const Mask& mask, const AttentionShape& shape, Kernel kernel) {
  const std::int64_t stacked = stacked_heads(shape, mask, kernel);
  std::vector<Piece> pieces;
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t kv = 0; kv < shape.kv_heads; ++kv) {
      for (std::int64_t h = 0; h < shape.group_size(); h += stacked) {
        for (std::int64_t t = 0; t < mask.tile_row_count(); ++t) {
          pieces.push_back(
              {b, kv, kv * shape.group_size() + h, std::min(stacked, shape.group_size() - h), t});
        }
      }
    }
  }
  return pieces;
}

// Where a part's elements begin in the plan.
struct Offsets {
  std::int64_t row_blocks = 0;
  std::int64_t key_blocks = 0;
  std::int64_t bits = 0;
  std::int64_t key_list = 0;
  std::int64_t samples = 0;
};

void copy_part(const Part& part, const Offsets& at, Plan& plan) {
  for (std::size_t i = 0; i < part.row_blocks.size(); ++i) {
    RowBlock block = part.row_blocks[i];
    block.blocks_begin += at.key_blocks;
    block.blocks_end += at.key_blocks;
    plan.row_blocks[static_cast<std::size_t>(at.row_blocks) + i] = block;
  }
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

}  // namespace

std::string_view name_of(Kernel kernel) noexcept {
  for (const auto& [value, name] : kKernelNames) {
    if (value == kernel) return name;
  }
  return "unknown";
}

std::optional<Kernel> parse_kernel(std::string_view name) noexcept {
  for (const auto& [value, known] : kKernelNames) {
    if (known == name) return value;
  }
  return std::nullopt;
}

std::int64_t Plan::kv_bytes_touched(DType dtype) const noexcept {
  std::int64_t keys = 0;
  for (const KeyBlock& block : key_blocks) keys += block.count;
  return keys * 2 * shape.head_dim * static_cast<std::int64_t>(size_of(dtype));
}

std::int64_t Plan::size_bytes() const noexcept {
  return static_cast<std::int64_t>(
      row_blocks.size() * sizeof(RowBlock) + key_blocks.size() * sizeof(KeyBlock) +
      bits.size() * sizeof(std::uint64_t) + key_list.size() * sizeof(std::int32_t) +
      samples.size() * sizeof(PlannedSample));
}

Plan make_plan(const Mask& mask,
               const AttentionShape& shape,
               Kernel kernel,
               const Threads& threads) {
  check_fit(mask, shape);
  const std::vector<Piece> pieces = make_pieces(mask, shape, kernel);
  std::vector<Part> parts(pieces.size());
  const auto items = static_cast<std::int64_t>(pieces.size());
  threads.for_each(items, [&](std::int64_t i, int) {
    const auto at = static_cast<std::size_t>(i);
    if (kernel == Kernel::kRows) {
      detail::plan_rows(mask, shape, pieces[at], parts[at]);
    } else {
      detail::plan_tiles(mask, shape, pieces[at], kernel == Kernel::kDense, parts[at]);
    }
  });

  std::vector<Offsets> offsets(parts.size());
  Offsets end;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    offsets[i] = end;
    end.row_blocks += static_cast<std::int64_t>(parts[i].row_blocks.size());
    end.key_blocks += static_cast<std::int64_t>(parts[i].key_blocks.size());
    end.bits += static_cast<std::int64_t>(parts[i].bits.size());
    end.key_list += static_cast<std::int64_t>(parts[i].key_list.size());
    end.samples += static_cast<std::int64_t>(parts[i].samples.size());
  }
  Plan plan;
  plan.kernel = kernel;
  plan.shape = shape;
  plan.row_blocks.resize(static_cast<std::size_t>(end.row_blocks));
  plan.key_blocks.resize(static_cast<std::size_t>(end.key_blocks));
  plan.bits.resize(static_cast<std::size_t>(end.bits));
  plan.key_list.resize(static_cast<std::size_t>(end.key_list));
  plan.samples.resize(static_cast<std::size_t>(end.samples));
  threads.for_each(items, [&](std::int64_t i, int) {
    const auto at = static_cast<std::size_t>(i);
    copy_part(parts[at], offsets[at], plan);
  });
  return plan;
}

}  // namespace maskerade
