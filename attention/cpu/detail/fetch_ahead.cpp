#include "attention/cpu/detail/fetch_ahead.hpp"

#include <algorithm>

namespace maskerade::detail {

void FetchAhead::clear() {
  count_ = 0;
  next_ = 0;
  at_ = 0;
}

// Ranges beyond kMostRanges are ignored: they are read all the same, only not fetched ahead.
void FetchAhead::add(const Range& range) {
  if (count_ < kMostRanges && range.rows > 0) ranges_[count_++] = range;
}

void FetchAhead::add_rows(const TensorView& tensor, const void* first, std::int64_t rows) {
  const auto element = static_cast<std::int64_t>(size_of(tensor.dtype));
  const bool is_one = tensor.dim == tensor.row_stride;
  add({static_cast<const std::byte*>(first), tensor.dim * element * (is_one ? rows : 1),
       tensor.row_stride * element, is_one ? 1 : rows});
}

void FetchAhead::add_blocks(const AttentionInputs& inputs,
                            const CpuPlan& plan,
                            const SharedTiles& shared,
                            const RowBlock& rows,
                            std::int64_t begin,
                            std::int64_t end) {
  for (std::int64_t b = begin; b < end; ++b) {
    const KeyBlock& block = plan.key_blocks[static_cast<std::size_t>(b)];
    if (block.list_offset >= 0) continue;
    std::uint32_t& fetched = fetched_[static_cast<std::size_t>(block.first_key / kPackedKeys)];
    if (fetched == now_) continue;
    fetched = now_;
    const SharedTiles::Tile tile = shared.find(rows, block);
    const auto add_one = [&](const float* made, std::int64_t floats, const TensorView& tensor) {
      if (made == nullptr) {
        return add_rows(tensor, tensor.row(rows.batch, rows.kv_head, block.first_key), block.count);
      }
      const std::int64_t bytes = floats * static_cast<std::int64_t>(sizeof(float));
      add({reinterpret_cast<const std::byte*>(made), bytes, bytes, 1});
    };
    add_one(tile.keys, shared.form().key_floats(), inputs.k);
    add_one(tile.values, shared.form().value_floats(), inputs.v);
  }
}

void FetchAhead::add_queries(const AttentionInputs& inputs, const RowBlock& rows) {
  for (std::int64_t h = 0; h < rows.heads; ++h) {
    add_rows(inputs.q, inputs.q.row(rows.batch, rows.first_head + h, rows.first_query),
             rows.queries);
  }
}

void FetchAhead::deal(std::int64_t pieces) {
  std::int64_t bytes = 0;
  for (std::size_t r = next_; r < count_; ++r) bytes += ranges_[r].row_bytes * ranges_[r].rows;
  piece_lines_ = (bytes / kLineBytes + pieces - 1) / pieces;
}

void FetchAhead::fetch_piece() {
  for (std::int64_t lines = piece_lines_; lines > 0 && next_ < count_;) {
    Range& range = ranges_[next_];
    const std::int64_t here =
        std::min(lines, (range.row_bytes - at_ + kLineBytes - 1) / kLineBytes);
    const std::byte* first = range.first + at_;
    for (std::int64_t line = 0; line < here; ++line) {
      __builtin_prefetch(first + line * kLineBytes, 0, 2);
    }
    lines -= here;
    at_ += here * kLineBytes;
    if (at_ < range.row_bytes) continue;
    at_ = 0;
    range.first += range.stride_bytes;
    if (--range.rows == 0) ++next_;
  }
}

}  // namespace maskerade::detail
