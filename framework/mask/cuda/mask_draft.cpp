#include "framework/mask/cuda/mask_draft.hpp"

#include <vector>

namespace maskerade {

DeviceVisibility::DeviceVisibility(const Visibility& visibility, cudaStream_t stream)
    : positions(std::span<const std::int64_t>(visibility.positions()), stream),
      key_len(visibility.key_len()) {
  const std::vector<std::int32_t> narrow(visibility.ends().begin(), visibility.ends().end());
  ends = {std::span<const std::int32_t>(narrow), stream};
  // `narrow` is destroyed on return: its copy must be done by then.
  check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

MaskDraft::MaskDraft(UnwrittenMemory,
                     const DeviceVisibility& visibility,
                     MaskExtent extent,
                     std::int64_t sampled_capacity,
                     std::uint32_t* faults,
                     cudaStream_t stream)
    : visibility_(&visibility), stream_(stream) {
  rows_.batch = extent.batch;
  rows_.heads = extent.heads;
  rows_.query_len = visibility.ends.size();
  rows_.key_len = visibility.key_len;
  rows_.words = cuda::ceil_div(visibility.key_len, 64);
  rows_.positions = visibility.positions.data();
  rows_.visible_ends = visibility.ends.data();
  rows_.faults = faults;
  const std::int64_t rows = cuda::detail::rows_in(rows_);
  bits_ = {rows * rows_.words, stream};
  rows_.bits = bits_.data();
  if (sampled_capacity == 0) return;
  sampled_bits_ = {rows * rows_.words, stream};
  sampled_counts_ = {rows, stream};
  sampled_keys_ = {rows * sampled_capacity, stream};
  sampled_probabilities_ = {rows * sampled_capacity, stream};
  rows_.sampled_bits = sampled_bits_.data();
  rows_.sampled_counts = sampled_counts_.data();
  rows_.sampled_keys = sampled_keys_.data();
  rows_.sampled_probabilities = sampled_probabilities_.data();
  rows_.sampled_capacity = sampled_capacity;
}

MaskDraft::MaskDraft(const DeviceVisibility& visibility,
                     MaskExtent extent,
                     std::int64_t sampled_capacity,
                     std::uint32_t* faults,
                     cudaStream_t stream)
    : MaskDraft(UnwrittenMemory(), visibility, extent, sampled_capacity, faults, stream) {
  bits_.fill_bytes(0);
  sampled_bits_.fill_bytes(0);
  sampled_counts_.fill_bytes(0);
}

MaskDraft::MaskDraft(const DeviceVisibility& visibility,
                     const DeviceMask& mask,
                     std::int64_t sampled_capacity,
                     std::uint32_t* faults,
                     cudaStream_t stream)
    : MaskDraft(UnwrittenMemory(),
                visibility,
                {mask.view().batch, mask.view().heads},
                sampled_capacity,
                faults,
                stream) {
  cuda::read_mask(mask.view(), rows_, stream);
}

MaskDraft MaskDraft::widened(MaskExtent extent, std::int64_t sampled_capacity) const {
  MaskDraft wide(UnwrittenMemory(), *visibility_, extent, sampled_capacity, rows_.faults, stream_);
  cuda::widen_draft(rows_, wide.rows_, stream_);
  return wide;
}

DeviceMask MaskDraft::finish(const cuda::MaskBounds& bounds, std::uint32_t* faults) {
  rows_.faults = faults;
  DeviceMask mask;
  mask.view_ = {.batch = rows_.batch,
                .heads = rows_.heads,
                .query_len = rows_.query_len,
                .key_len = rows_.key_len};
  cuda::MaskView& view = mask.view_;
  mask.ends_ = visibility_->ends.copy();
  view.ends = mask.ends_.data();
  const std::int64_t tile_rows = view.slices() * view.tile_rows();
  mask.any_ = {tile_rows * view.words(), stream_};
  mask.full_ = {tile_rows * view.words(), stream_};
  mask.ranks_ = {tile_rows * view.words(), stream_};
  mask.partial_offsets_ = {tile_rows + 1, stream_};
  mask.partial_ = {bounds.partial_tiles * view.tile_height(), stream_};
  const DeviceBuffer<std::uint8_t> states(tile_rows * view.tiles(), stream_);
  cuda::pack_draft({.view = view, .bits = rows_.bits, .batch = view.batch, .heads = view.heads},
                   {.states = states.data(),
                    .any = mask.any_.data(),
                    .full = mask.full_.data(),
                    .ranks = mask.ranks_.data(),
                    .partial_offsets = mask.partial_offsets_.data(),
                    .partial = mask.partial_.data(),
                    .capacity = mask.partial_.size(),
                    .overflow = reinterpret_cast<std::int32_t*>(faults)},
                   stream_);
  view.any = mask.any_.data();
  view.full = mask.full_.data();
  view.ranks = mask.ranks_.data();
  view.partial_offsets = mask.partial_offsets_.data();
  view.partial = mask.partial_.data();
  if (rows_.sampled_bits == nullptr) return mask;
  const std::int64_t rows = cuda::detail::rows_in(rows_);
  mask.sampled_offsets_ = {rows + 1, stream_};
  mask.sampled_keys_ = {bounds.sampled, stream_};
  mask.sampled_probabilities_ = {bounds.sampled, stream_};
  const DeviceBuffer<std::int64_t> word_offsets(rows * rows_.words + 1, stream_);
  const DeviceBuffer<std::int32_t> kept_counts(rows, stream_);
  cuda::sort_samples(rows_,
                     {.word_offsets = word_offsets.data(),
                      .kept_counts = kept_counts.data(),
                      .sampled_offsets = mask.sampled_offsets_.data(),
                      .sampled_keys = mask.sampled_keys_.data(),
                      .sampled_probabilities = mask.sampled_probabilities_.data(),
                      .capacity = bounds.sampled},
                     stream_);
  view.sampled_offsets = mask.sampled_offsets_.data();
  view.sampled_keys = mask.sampled_keys_.data();
  view.sampled_probabilities = mask.sampled_probabilities_.data();
  return mask;
}

}  // namespace maskerade
