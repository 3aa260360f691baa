#include "attention/cuda/detail/device_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numbers>
#include <utility>

#include "attention/cuda/detail/kernels.hpp"
#include "attention/cuda/detail/tensor_tiles.hpp"
#include "framework/base/error.hpp"
#include "framework/tensor/cuda/device.hpp"

namespace maskerade::cuda {
namespace {

// Blocks that keep a device busy. Rationale: one number for all devices, so that the splits, and
// with them the results, are the same on each.
constexpr std::int64_t kWantedBlocks = 528;
constexpr std::int64_t kLeastKeysOfSplit = 256;
constexpr std::size_t kAlignment = 16;  // of what kernels read in vectors

std::int64_t element_bytes(const TensorView& tensor) {
  return static_cast<std::int64_t>(size_of(tensor.dtype));
}

std::int64_t slice_count(const TensorView& tensor) { return tensor.batch * tensor.heads; }

// Copies rows [first, end) of every head to a packed tensor whose heads lie `room` rows apart.
void copy_rows(const TensorView& from,
               std::int64_t first,
               std::int64_t end,
               std::int64_t room,
               std::byte* to,
               cudaStream_t stream) {
  const std::int64_t row_bytes = from.dim * element_bytes(from);
  if (first >= end) return;
  const auto kind =
      from.memory == MemorySpace::kHost ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToDevice;
  for (std::int64_t b = 0; b < from.batch; ++b) {
    for (std::int64_t h = 0; h < from.heads; ++h) {
      std::byte* const target = to + ((b * from.heads + h) * room + first) * row_bytes;
      if (from.row_stride < from.dim) {  // rows that overlap: not a pitch that CUDA takes
        for (std::int64_t row = first; row < end; ++row) {
          check_cuda(cudaMemcpyAsync(target + (row - first) * row_bytes, from.row(b, h, row),
                                     static_cast<std::size_t>(row_bytes), kind, stream),
                     "cudaMemcpyAsync to the device");
        }
        continue;
      }
      check_cuda(
          cudaMemcpy2DAsync(target, static_cast<std::size_t>(row_bytes), from.row(b, h, first),
                            static_cast<std::size_t>(from.row_stride * element_bytes(from)),
                            static_cast<std::size_t>(row_bytes),
                            static_cast<std::size_t>(end - first), kind, stream),
          "cudaMemcpy2DAsync to the device");
    }
  }
}

// The same tensor, packed, with heads `room` rows apart.
TensorView packed_view(const TensorView& tensor, const void* data, std::int64_t room) {
  TensorView packed = tensor;
  packed.data = data;
  packed.row_stride = tensor.dim;
  packed.head_stride = room * tensor.dim;
  packed.batch_stride = tensor.heads * packed.head_stride;
  packed.memory = MemorySpace::kDevice;
  return packed;
}

// Whether the kernels can read keys or values where they are.
bool is_readable_in_place(const TensorView& tensor) {
  return tensor.memory == MemorySpace::kDevice && tensor.row_stride == tensor.dim &&
         tensor.head_stride % tensor.dim == 0 && tensor.head_stride >= tensor.length * tensor.dim &&
         (tensor.batch == 1 || tensor.batch_stride == tensor.heads * tensor.head_stride) &&
         reinterpret_cast<std::uintptr_t>(tensor.data) % kAlignment == 0;
}

}  // namespace

DeviceProblem::DeviceProblem(const AttentionInputs& inputs, const CudaOptions& options)
    : newest_(options.newest), wanted_room_(options.key_capacity), inputs_(inputs) {
  show(inputs);
}

void DeviceProblem::show(const AttentionInputs& inputs) {
  check_same_sequence(inputs_, inputs);
  if (const std::string refusal = cuda_refusal(inputs.shape); !refusal.empty()) {
    throw ShapeError(refusal);
  }
  const cudaStream_t stream = stream_.get();
  copy_queries(inputs.q);
  copy_keys(inputs);
  inputs_ = inputs;
  const AttentionShape& shape = inputs.shape;
  if (out_.size() != shape.rows() * shape.head_dim) {
    out_ = {shape.rows() * shape.head_dim, stream};
    lse_ = {shape.rows(), stream};
    stored_out_ = {dtype() == DType::kFloat32 ? 0 : out_.size(), stream};
  }
  arguments_ = {.q = tensors_.q.data,
                .k = tensors_.k.data,
                .v = tensors_.v.data,
                .kv_heads = shape.kv_heads,
                .key_len = shape.key_len,
                .key_room = tensors_.k.head_stride / shape.head_dim,
                .head_dim = shape.head_dim,
                .scale_log2 = static_cast<float>(inputs.scale * std::numbers::log2e),
                .out = out_.data(),
                .lse = lse_.data()};
  has_warpgroup_kernel_ = can_use_warpgroups();
  stream_.synchronize();
}

void DeviceProblem::copy_queries(const TensorView& q) {
  const std::int64_t bytes = slice_count(q) * q.length * q.dim * element_bytes(q);
  if (static_cast<std::int64_t>(q_.bytes()) != bytes) q_ = {bytes, stream_.get()};
  copy_rows(q, 0, q.length, q.length, q_.data(), stream_.get());
  tensors_.q = packed_view(q, q_.data(), q.length);
}

void DeviceProblem::copy_keys(const AttentionInputs& inputs) {
  const TensorView& k = inputs.k;
  const TensorView& v = inputs.v;
  if (is_readable_in_place(k) && is_readable_in_place(v) && k.head_stride == v.head_stride) {
    tensors_.k = k;
    tensors_.v = v;
    tensors_.k.batch_stride = tensors_.v.batch_stride = k.heads * k.head_stride;
    return;
  }
  const cudaStream_t stream = stream_.get();
  const std::int64_t row_bytes = k.dim * element_bytes(k);
  if (k.length > room_) {
    // A sequence that outgrows its room gets twice the room, so that each key moves rarely.
    const std::int64_t room =
        room_ == 0 ? std::max(k.length, wanted_room_) : std::max(k.length, 2 * room_);
    const std::int64_t bytes = slice_count(k) * room * row_bytes;
    DeviceBuffer<std::byte> new_k(bytes, stream);
    DeviceBuffer<std::byte> new_v(bytes, stream);
    if (copied_keys_ > 0) {
      copy_rows(packed_view(k, k_.data(), room_), 0, copied_keys_, room, new_k.data(), stream);
      copy_rows(packed_view(v, v_.data(), room_), 0, copied_keys_, room, new_v.data(), stream);
    }
    k_ = std::move(new_k);
    v_ = std::move(new_v);
    room_ = room;
  }
  copy_rows(k, copied_keys_, k.length, room_, k_.data(), stream);
  copy_rows(v, copied_keys_, v.length, room_, v_.data(), stream);
  // Keys that are not shown are forgotten: others may come to stand in their place.
  copied_keys_ = k.length;
  tensors_.k = packed_view(k, k_.data(), room_);
  tensors_.v = packed_view(v, v_.data(), room_);
}

std::int64_t DeviceProblem::key_bytes() const noexcept {
  return 2 * shape().head_dim * static_cast<std::int64_t>(size_of(dtype()));
}

bool DeviceProblem::can_use_warpgroups() const {
  const std::int64_t batch = shape().batch;
  return newest_ == CudaFamily::kSm90 && cuda_device().compute_capability == 90 &&
         has_matrix_kernel(dtype(), shape().head_dim) &&
         key_tiles(arguments_, batch).is_encodable() &&
         value_tiles(arguments_, batch).is_encodable() &&
         can_attend_tiles_sm90(arguments_, batch, dtype());
}

const char* DeviceProblem::family() const noexcept {
  return has_matrix_kernel(dtype(), shape().head_dim) ? "sm80" : "plain";
}

const char* DeviceProblem::tile_family() const noexcept {
  return has_warpgroup_kernel_ ? "sm90" : family();
}

std::int64_t DeviceProblem::splits_of(std::int64_t row_blocks) const {
  return std::clamp<std::int64_t>(kWantedBlocks / row_blocks, 1,
                                  std::max<std::int64_t>(shape().key_len / kLeastKeysOfSplit, 1));
}

AttendArguments DeviceProblem::split(std::int64_t row_blocks, std::int64_t rows) {
  AttendArguments split = arguments_;
  split.splits = splits_of(row_blocks);
  const std::int64_t parts = row_blocks * split.splits * rows;
  if (split.splits > 1 &&
      (part_top_.size() < parts || part_out_.size() < parts * shape().head_dim)) {
    part_out_ = {parts * shape().head_dim, stream_.get()};
    part_top_ = {parts, stream_.get()};
    part_sum_ = {parts, stream_.get()};
  }
  split.part_out = part_out_.data();
  split.part_top = part_top_.data();
  split.part_sum = part_sum_.data();
  return split;
}

void DeviceProblem::attend(const TilePlan& plan) {
  const AttendArguments split = this->split(plan.layout.row_blocks(), kBlockRows);
  const cudaStream_t stream = stream_.get();
  if (has_warpgroup_kernel_) {
    attend_tiles_sm90(split, plan, dtype(), stream);
  } else if (has_matrix_kernel(dtype(), shape().head_dim)) {
    attend_tiles_sm80(split, plan, dtype(), stream);
  } else {
    attend_tiles_plain(split, plan, dtype(), stream);
  }
  if (split.splits > 1) merge_tile_parts(split, plan.layout, stream);
}

void DeviceProblem::attend(const RowPlan& plan) {
  const AttendArguments split = this->split(plan.layout.row_blocks(), kListRows);
  const cudaStream_t stream = stream_.get();
  if (has_matrix_kernel(dtype(), shape().head_dim)) {
    attend_rows_sm80(split, plan, dtype(), stream);
  } else {
    attend_rows_plain(split, plan, dtype(), stream);
  }
  if (split.splits > 1) merge_row_parts(split, plan.layout, stream);
}

void DeviceProblem::poison() const {
  constexpr int kNaNBytes = 0xFF;
  out_.fill_bytes(kNaNBytes);
  lse_.fill_bytes(kNaNBytes);
  stored_out_.fill_bytes(kNaNBytes);
}

}  // namespace maskerade::cuda
