#include "framework/mask/cuda/device_mask.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade {

DeviceMask DeviceMask::upload(const Mask& mask, cudaStream_t stream) {
  const MaskArrays arrays = mask.arrays();
  const std::vector<std::int32_t> ends(mask.visibility().ends().begin(),
                                       mask.visibility().ends().end());
  DeviceMask device;
  device.any_ = {arrays.any, stream};
  device.full_ = {arrays.full, stream};
  device.ranks_ = {static_cast<std::int64_t>(arrays.any.size()), stream};
  device.partial_offsets_ = {arrays.partial_offsets, stream};
  device.partial_ = {arrays.partial, stream};
  device.sampled_offsets_ = {arrays.sampled_offsets, stream};
  device.sampled_keys_ = {arrays.sampled_keys, stream};
  device.sampled_probabilities_ = {arrays.sampled_probabilities, stream};
  device.ends_ = {std::span<const std::int32_t>(ends), stream};
  device.view_ = {.batch = mask.extent().batch,
                  .heads = mask.extent().heads,
                  .query_len = mask.query_len(),
                  .key_len = mask.key_len(),
                  .any = device.any_.data(),
                  .full = device.full_.data(),
                  .ranks = device.ranks_.data(),
                  .partial_offsets = device.partial_offsets_.data(),
                  .partial = device.partial_.data(),
                  .sampled_offsets = mask.has_sampled() ? device.sampled_offsets_.data() : nullptr,
                  .sampled_keys = device.sampled_keys_.data(),
                  .sampled_probabilities = device.sampled_probabilities_.data(),
                  .ends = device.ends_.data()};
  cuda::find_ranks(
      {device.view_.words(), device.view_.any, device.view_.full, device.ranks_.data()},
      device.view_.slices() * device.view_.tile_rows(), stream);
  // `ends` is destroyed on return: its copy must be done by then.
  check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  return device;
}

Mask DeviceMask::download(const Visibility& visibility) const {
  if (overflow_.size() > 0 && overflow_.download().front() != 0) {
    throw Error(
        "internal error: a combined mask has more words in partial tiles than its operands "
        "together");
  }
  const auto any = any_.download();
  const auto full = full_.download();
  const auto offsets = partial_offsets_.download();
  // A mask that was made on the device may have room for more than it holds.
  const auto used = [](const std::vector<std::int64_t>& ends) {
    return ends.empty() ? 0 : ends.back();
  };
  const auto partial = partial_.download(used(offsets));
  const auto sampled_offsets = sampled_offsets_.download();
  const auto keys = sampled_keys_.download(used(sampled_offsets));
  const auto probabilities = sampled_probabilities_.download(used(sampled_offsets));
  const auto part = [](const auto& values, std::int64_t begin, std::int64_t end) {
    return std::vector(values.begin() + begin, values.begin() + end);
  };
  const std::int64_t words = view_.words();
  std::vector<TileRow> tile_rows;
  for (std::int64_t i = 0; i < view_.slices() * view_.tile_rows(); ++i) {
    TileRow row{.any = part(any, i * words, (i + 1) * words),
                .full = part(full, i * words, (i + 1) * words),
                .partial = part(partial, offsets[static_cast<std::size_t>(i)],
                                offsets[static_cast<std::size_t>(i) + 1])};
    if (view_.has_sampled()) {
      const std::int64_t query = i % view_.tile_rows() * 64;
      const std::int64_t first = i / view_.tile_rows() * view_.query_len + query;
      const std::int64_t last = first + view_.rows_of(query);
      for (std::int64_t r = first; r < last; ++r) {
        row.sampled_counts.push_back(sampled_offsets[static_cast<std::size_t>(r) + 1] -
                                     sampled_offsets[static_cast<std::size_t>(r)]);
      }
      row.sampled_keys = part(keys, sampled_offsets[static_cast<std::size_t>(first)],
                              sampled_offsets[static_cast<std::size_t>(last)]);
      row.sampled_probabilities =
          part(probabilities, sampled_offsets[static_cast<std::size_t>(first)],
               sampled_offsets[static_cast<std::size_t>(last)]);
    }
    tile_rows.push_back(std::move(row));
  }
  return Mask::from_tile_rows(visibility, {view_.batch, view_.heads}, tile_rows);
}

DeviceMask DeviceMask::united(const DeviceMask& other) const {
  return combined(cuda::MaskOperation::kUnion, other);
}

DeviceMask DeviceMask::intersected(const DeviceMask& other) const {
  return combined(cuda::MaskOperation::kIntersection, other);
}

DeviceMask DeviceMask::without(const DeviceMask& other) const {
  return combined(cuda::MaskOperation::kDifference, other);
}

DeviceMask DeviceMask::complement() const {
  return combined(cuda::MaskOperation::kComplement, *this);
}

DeviceMask DeviceMask::combined(cuda::MaskOperation operation, const DeviceMask& other) const {
  const cuda::MaskView& a = view_;
  const cuda::MaskView& b = other.view_;
  if (a.has_sampled() || b.has_sampled()) {
    throw ShapeError("masks with probabilities below 1 are combined on the CPU only");
  }
  const std::int64_t batch = std::max(a.batch, b.batch);
  const std::int64_t heads = std::max(a.heads, b.heads);
  const auto fits = [&](const cuda::MaskView& mask) {
    return (mask.batch == 1 || mask.batch == batch) && heads % mask.heads == 0;
  };
  if (a.query_len != b.query_len || a.key_len != b.key_len || !fits(a) || !fits(b)) {
    throw ShapeError(fmt::format(
        "a mask of ({}, {}, {}, {}) cannot be combined with one of ({}, {}, {}, {})", a.batch,
        a.heads, a.query_len, a.key_len, b.batch, b.heads, b.query_len, b.key_len));
  }
  const cudaStream_t stream = any_.stream();
  const std::int64_t tile_rows = batch * heads * a.tile_rows();
  DeviceMask result;
  result.any_ = {tile_rows * a.words(), stream};
  result.full_ = {tile_rows * a.words(), stream};
  result.ranks_ = {tile_rows * a.words(), stream};
  result.partial_offsets_ = {tile_rows + 1, stream};
  // A tile of the result is partial only where a tile of an operand is, so their words are enough.
  const std::int64_t slices = batch * heads;
  result.partial_ = {
      slices / a.slices() * partial_.size() + slices / b.slices() * other.partial_.size(), stream};
  result.ends_ = ends_.copy();
  result.overflow_ = {1, stream};
  result.overflow_.fill_bytes(0);
  const DeviceBuffer<std::uint8_t> states(tile_rows * a.tiles(), stream);
  cuda::combine_masks({.operation = operation, .a = a, .b = b, .batch = batch, .heads = heads},
                      {.states = states.data(),
                       .any = result.any_.data(),
                       .full = result.full_.data(),
                       .ranks = result.ranks_.data(),
                       .partial_offsets = result.partial_offsets_.data(),
                       .partial = result.partial_.data(),
                       .capacity = result.partial_.size(),
                       .overflow = result.overflow_.data()},
                      stream);
  result.view_ = {.batch = batch,
                  .heads = heads,
                  .query_len = a.query_len,
                  .key_len = a.key_len,
                  .any = result.any_.data(),
                  .full = result.full_.data(),
                  .ranks = result.ranks_.data(),
                  .partial_offsets = result.partial_offsets_.data(),
                  .partial = result.partial_.data(),
                  .ends = result.ends_.data()};
  return result;
}

std::int64_t DeviceMask::size_bytes() const noexcept {
  return static_cast<std::int64_t>(any_.bytes() + full_.bytes() + ranks_.bytes() +
                                   partial_offsets_.bytes() + partial_.bytes() +
                                   sampled_offsets_.bytes() + sampled_keys_.bytes() +
                                   sampled_probabilities_.bytes() + ends_.bytes());
}

}  // namespace maskerade
