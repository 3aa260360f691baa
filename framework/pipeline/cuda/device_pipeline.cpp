#include "framework/pipeline/cuda/device_pipeline.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/pipeline/run_masker.hpp"

namespace maskerade {
namespace {

// What the fault bits of a masker say it did wrong; "" for none.
std::string fault_text(std::uint32_t faults) {
  if ((faults & MASKERADE_CUDA_OVERFLOW) != 0) return "added more than bounds() had stated";
  if ((faults & MASKERADE_CUDA_NO_PROBABILITY) != 0) return "gave a probability outside (0, 1]";
  if ((faults & MASKERADE_CUDA_SAMPLED_TWICE) != 0) {
    return "listed sampled keys that are not those of the bits, each once,";
  }
  return "";
}

// The largest number of sampled entries that a row of the mask has.
std::int64_t most_sampled(const Mask& mask) {
  const std::span<const std::int64_t> offsets = mask.arrays().sampled_offsets;
  std::int64_t most = 0;
  for (std::size_t row = 0; row + 1 < offsets.size(); ++row) {
    most = std::max(most, offsets[row + 1] - offsets[row]);
  }
  return most;
}

}  // namespace

DeviceSelection DeviceSelection::upload(const Mask& mask, cudaStream_t stream) {
  DeviceSelection made;
  made.bounds_ = cuda::MaskBounds::of(mask);
  made.mask_ = DeviceMask::upload(mask, stream);
  return made;
}

void DeviceSelection::check() const {
  const std::vector<std::uint32_t> faults = faults_.download();
  for (std::size_t i = 0; i < faults.size(); ++i) {
    const std::string text = fault_text(faults[i]);
    if (text.empty()) continue;
    const std::string who = i < reports_.size() ? fmt::format("masker \"{}\"", reports_[i].id)
                                                : "one of the pipeline's maskers";
    throw Error(fmt::format("{} {} on the device", who, text));
  }
}

std::vector<MaskerReport> DeviceSelection::reports() const {
  check();
  std::vector<MaskerReport> reports = reports_;
  for (std::size_t i = 0; i + 1 < borders_.size(); ++i) {
    reports[i].select_ms = borders_[i + 1].ms_since(borders_[i]);
  }
  return reports;
}

void DevicePipeline::prepare(const PreparedPipeline& prepared) {
  prepared_ = &prepared;
  stages_.clear();
  visibility_.emplace(prepared.inputs().visibility, stream_);
  MaskExtent extent;
  for (const MaskerInstance& instance : prepared.instances()) {
    const std::size_t i = stages_.size();
    extent = extent_after(extent, i);
    stages_.emplace_back();
    DeviceCall call(prepared.inputs(), *tensors_, instance, prepared.options().seed,
                    static_cast<std::uint32_t>(i), stream_);
    call.set_extent(extent);
    const auto stated = instance.device_bounds(call.call());
    if (!stated) continue;
    const maskerade_cuda_rows& rows = call.call().rows;
    DeviceStage& stage = stages_.back().emplace();
    stage.bounds = {
        .tiles_per_tile_row = std::clamp<std::int64_t>(stated->tiles_per_tile_row, 0, rows.words),
        .keys_per_row = std::clamp<std::int64_t>(stated->keys_per_row, 0, rows.key_len),
        .sampled_per_row = instance.may_sample()
                               ? std::clamp<std::int64_t>(stated->sampled_per_row, 0, rows.key_len)
                               : 0};
    upload_indexes(instance, stage);
  }
  check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}

void DevicePipeline::upload_indexes(const MaskerInstance& instance, DeviceStage& to) const {
  std::vector<std::span<const std::byte>> parts;
  for (const void* index : instance.indexes()) parts.push_back(instance.index_data(index));
  std::size_t size = 0;
  for (const auto& part : parts) size = std::max(size, part.size());
  if (size == 0) return;
  to.index_stride = static_cast<std::int64_t>((size + 255) / 256 * 256);
  std::vector<std::byte> packed(parts.size() * static_cast<std::size_t>(to.index_stride));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) continue;
    std::memcpy(packed.data() + i * static_cast<std::size_t>(to.index_stride), parts[i].data(),
                parts[i].size());
  }
  to.indexes = {std::span<const std::byte>(packed), stream_};
  // The copy reads `packed`, which ends with this function.
  check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}

bool DevicePipeline::is_all_on_device() const noexcept {
  return !stages_.empty() && std::all_of(stages_.begin(), stages_.end(),
                                         [](const auto& stage) { return stage.has_value(); });
}

std::string DevicePipeline::where() const {
  if (is_all_on_device()) return "cuda";
  std::vector<std::string> uploaded;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    if (!stages_[i]) uploaded.push_back(prepared_->instances()[i].type().id());
  }
  if (uploaded.size() == stages_.size()) return "cpu, uploaded";
  return fmt::format("cuda; cpu, uploaded: {}", fmt::join(uploaded, ", "));
}

MaskExtent DevicePipeline::extent_after(MaskExtent before, std::size_t i) const {
  return maskerade::extent_after(before, prepared_->instances()[i].type(),
                                 prepared_->inputs().shape);
}

cuda::MaskBounds DevicePipeline::largest(MaskExtent extent) const {
  const AttentionShape& shape = prepared_->inputs().shape;
  const std::int64_t slices = extent.batch * extent.heads;
  const std::int64_t tiles =
      slices * cuda::ceil_div(shape.query_len, 64) * cuda::ceil_div(shape.key_len, 64);
  return {.active_tiles = tiles,
          .partial_tiles = tiles,
          .active_bits = tiles * std::min<std::int64_t>(64, shape.query_len) * 64,
          .sampled = slices * shape.query_len * shape.key_len};
}

cuda::MaskBounds DevicePipeline::added_by(std::size_t i, MaskExtent extent) const {
  const maskerade_cuda_bounds& stated = stages_[i]->bounds;
  const std::int64_t slices = extent.batch * extent.heads;
  const std::int64_t query_len = prepared_->inputs().shape.query_len;
  const std::int64_t tiles = slices * cuda::ceil_div(query_len, 64) * stated.tiles_per_tile_row;
  return {.active_tiles = tiles,
          .partial_tiles = tiles,
          .active_bits = slices * query_len * stated.keys_per_row,
          .sampled = slices * query_len * stated.sampled_per_row};
}

DeviceSelection DevicePipeline::select(const Threads& threads) const {
  const AttentionInputs& inputs = prepared_->inputs();
  DeviceSelection made;
  const bool is_any_on_device = std::any_of(stages_.begin(), stages_.end(),
                                            [](const auto& stage) { return stage.has_value(); });
  if (!is_any_on_device) {
    Selection selection = prepared_->select(threads);
    made = DeviceSelection::upload(selection.mask, stream_);
    made.reports_ = std::move(selection.maskers);
    return made;
  }
  const std::size_t count = stages_.size();
  made.faults_ = {static_cast<std::int64_t>(count) + 1, stream_};
  made.faults_.fill_bytes(0);
  std::optional<MaskDraft> draft;      // the mask so far, while it is on the device
  std::optional<DeviceMask> uploaded;  // likewise, as it came from the CPU
  Mask on_cpu = Mask::empty(inputs.visibility);
  MaskExtent extent;
  std::int64_t from_cpu = 0;  // sampled entries of a row, at most
  const auto mark = [&] { made.borders_.emplace_back().record(stream_); };
  mark();
  for (std::size_t i = 0; i < count; ++i) {
    const MaskExtent before = extent;
    extent = extent_after(before, i);
    std::uint32_t* const faults = made.faults_.data() + i;
    if (!stages_[i]) {
      if (draft) {
        const DeviceMask so_far = draft->finish(made.bounds_, made.faults_.data() + count);
        made.check();
        on_cpu = so_far.download(inputs.visibility);
        draft.reset();
      }
      on_cpu = prepared_->select_one(i, on_cpu, threads, made.reports_);
      uploaded = DeviceMask::upload(on_cpu, stream_);
      made.bounds_ = cuda::MaskBounds::of(on_cpu);
      from_cpu = most_sampled(on_cpu);
      mark();
      continue;
    }
    const DeviceStage& stage = *stages_[i];
    const std::int64_t copies = extent.batch / before.batch * (extent.heads / before.heads);
    made.bounds_ = made.bounds_.times(copies).with(added_by(i, extent), largest(extent));
    const std::int64_t sampled =
        (draft ? draft->sampled_capacity() : from_cpu) + stage.bounds.sampled_per_row;
    if (!draft && uploaded) {
      draft.emplace(*visibility_, *uploaded, from_cpu, faults, stream_);
      uploaded.reset();
    } else if (!draft) {
      draft.emplace(*visibility_, extent, sampled, faults, stream_);
    }
    if (draft->extent() != extent || draft->sampled_capacity() != sampled) {
      draft = draft->widened(extent, sampled);
    }
    draft->set_faults(faults);
    DeviceCall call(inputs, *tensors_, prepared_->instances()[i], prepared_->options().seed,
                    static_cast<std::uint32_t>(i), stream_);
    call.set_indexes(stage.indexes.data(), stage.index_stride);
    call.select(*draft);
    MaskerReport& report = made.reports_.emplace_back(prepared_->instances()[i].report(inputs));
    report.keys_scored = call.keys_scored();
    report.bytes_read = call.bytes_read();
    for (auto& kept : call.take_uploads()) made.uploads_.push_back(std::move(kept));
    mark();
  }
  made.mask_ =
      draft ? draft->finish(made.bounds_, made.faults_.data() + count) : std::move(*uploaded);
  return made;
}

}  // namespace maskerade
