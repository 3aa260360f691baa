#include "framework/pipeline/masker_instance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kErrorBytes = 1024;

// Whether a query does not see every key.
bool leaves_keys_unseen(const Visibility& visibility) {
  return std::any_of(visibility.ends().begin(), visibility.ends().end(),
                     [&](std::int64_t end) { return end < visibility.key_len(); });
}

}  // namespace

// Calls change(keys, index) for each (batch, kv head), with its keys of the range, many at once.
template <typename Change>
void MaskerInstance::for_each_index(const AttentionInputs& inputs,
                                    KeyInterval range,
                                    const Threads& threads,
                                    Change&& change) {
  const bool values = use_.type->depends_on(MASKERADE_DEPENDS_VALUE);
  threads.for_each(static_cast<std::int64_t>(indexes_.size()), [&](std::int64_t item, int) {
    maskerade_key_span span{};
    span.struct_size = sizeof(span);
    span.dtype = static_cast<std::uint32_t>(inputs.k.dtype);
    span.batch = item / inputs.shape.kv_heads;
    span.kv_head = item % inputs.shape.kv_heads;
    span.keys = inputs.k.row(span.batch, span.kv_head, range.begin);
    span.values = values ? inputs.v.row(span.batch, span.kv_head, range.begin) : nullptr;
    span.key_row_stride = inputs.k.row_stride;
    span.value_row_stride = inputs.v.row_stride;
    span.key_begin = range.begin;
    span.key_end = range.end;
    span.head_dim = inputs.shape.head_dim;
    span.layer = inputs.layer;
    span.host = host();
    change(span, indexes_[static_cast<std::size_t>(item)]);
  });
}

MaskerInstance::MaskerInstance(MaskerUse use,
                               const AttentionInputs& inputs,
                               std::uint64_t seed,
                               std::uint32_t place)
    : use_(std::move(use)),
      host_(std::make_unique<MaskerHost>(
          MaskerIdentity{.seed = seed,
                         .place = place,
                         .layer = inputs.layer,
                         .depends_on = use_.type->descriptor().depends_on})) {
  const AttentionShape& shape = inputs.shape;
  maskerade_create_info info{};
  info.struct_size = sizeof(info);
  info.shape = {shape.batch,     shape.query_heads, shape.kv_heads,
                shape.query_len, shape.key_len,     shape.head_dim};
  info.causal = inputs.visibility.is_causal() ? 1 : 0;
  info.layer = inputs.layer;
  info.arguments = use_.arguments->view().data();
  info.argument_count = use_.arguments->view().size();
  info.host = host_->c_host();
  std::array<char, kErrorBytes> error{};
  if (use_.type->descriptor().create(&info, &masker_, &grain_, error.data(), error.size()) !=
      MASKERADE_OK) {
    fail("cannot be created", error.data());
  }
  if (grain_.query_block < 1 || grain_.heads > MASKERADE_HEADS_ALL) {
    use_.type->descriptor().destroy(masker_);
    fail("cannot be created",
         fmt::format("its grain is {} tokens, heads {}; the block must be at least 1 and heads a "
                     "MASKERADE_HEADS_ value",
                     grain_.query_block, grain_.heads));
  }
  owned_ = true;
}

MaskerInstance::MaskerInstance(MaskerInstance&& other) noexcept
    : use_(std::move(other.use_)),
      host_(std::move(other.host_)),
      owned_(std::exchange(other.owned_, false)),
      masker_(other.masker_),
      grain_(other.grain_),
      indexes_(std::move(other.indexes_)) {}

MaskerInstance::~MaskerInstance() {
  if (!owned_) return;
  for (const void* index : indexes_) {
    if (index != nullptr) index_functions()->destroy(masker_, const_cast<void*>(index));
  }
  use_.type->descriptor().destroy(masker_);
}

void MaskerInstance::build_indexes(const AttentionInputs& inputs,
                                   const HeadSet& heads,
                                   const Threads& threads) {
  if (index_functions() == nullptr) return;
  indexes_.assign(static_cast<std::size_t>(inputs.shape.batch * inputs.shape.kv_heads), nullptr);
  const KeyInterval all{0, inputs.shape.key_len};
  for_each_index(inputs, all, threads, [&](const maskerade_key_span& span, const void*& index) {
    if (!heads.reads(span.kv_head, inputs.shape)) return;
    std::array<char, kErrorBytes> error{};
    void* made = nullptr;
    if (index_functions()->build(masker_, &span, &made, error.data(), error.size()) !=
        MASKERADE_OK) {
      fail("cannot build its index", error.data());
    }
    if (made == nullptr) fail("cannot build its index", "it gave NULL");
    index = made;
  });
}

void MaskerInstance::append_to_indexes(const AttentionInputs& inputs,
                                       KeyInterval added,
                                       const Threads& threads) {
  for_each_index(inputs, added, threads, [&](const maskerade_key_span& span, const void*& index) {
    if (index == nullptr) return;
    std::array<char, kErrorBytes> error{};
    if (index_functions()->append(masker_, const_cast<void*>(index), &span, error.data(),
                                  error.size()) != MASKERADE_OK) {
      fail("cannot append to its index", error.data());
    }
  });
}

void MaskerInstance::truncate_indexes(const AttentionInputs& inputs, const Threads& threads) {
  const KeyInterval kept{0, inputs.shape.key_len};
  for_each_index(inputs, kept, threads, [&](const maskerade_key_span& span, const void*& index) {
    if (index == nullptr) return;
    std::array<char, kErrorBytes> error{};
    if (index_functions()->truncate(masker_, const_cast<void*>(index), &span, error.data(),
                                    error.size()) != MASKERADE_OK) {
      fail("cannot truncate its index", error.data());
    }
  });
}

std::int64_t MaskerInstance::index_bytes() const {
  std::int64_t bytes = 0;
  for (const void* index : indexes_) {
    if (index == nullptr) continue;
    bytes += static_cast<std::int64_t>(index_functions()->size_bytes(masker_, index));
  }
  return bytes;
}

MaskerReport MaskerInstance::report(const AttentionInputs& inputs) const {
  MaskerReport report{.id = use_.type->id()};
  if (index_functions() == nullptr) return report;
  report.index_bytes = index_bytes();
  report.index_spans_future =
      index_functions()->spans_future != 0 && leaves_keys_unseen(inputs.visibility);
  return report;
}

void MaskerInstance::select(const HostCall& host) const {
  std::array<char, kErrorBytes> error{};
  const std::int32_t status =
      use_.type->descriptor().select(masker_, &host.call(), error.data(), error.size());
  if (!host.failure().empty()) fail("failed", host.failure());
  if (status != MASKERADE_OK) fail("failed", error.data());
}

std::optional<maskerade_cuda_bounds> MaskerInstance::device_bounds(
    const maskerade_cuda_call& call) const {
  const maskerade_cuda_extension* const device = use_.type->extension<maskerade_cuda_extension>();
  maskerade_cuda_bounds bounds{};
  if (device == nullptr || device->bounds(masker_, &call, &bounds) == 0) return std::nullopt;
  return bounds;
}

void MaskerInstance::select_on_device(const maskerade_cuda_call& call,
                                      const std::string& failure) const {
  std::array<char, kErrorBytes> error{};
  const std::int32_t status = use_.type->extension<maskerade_cuda_extension>()->select(
      masker_, &call, error.data(), error.size());
  if (!failure.empty()) fail("failed on the device", failure);
  if (status != MASKERADE_OK) fail("failed on the device", error.data());
}

std::span<const std::byte> MaskerInstance::index_data(const void* index) const {
  const maskerade_cuda_extension* const device = use_.type->extension<maskerade_cuda_extension>();
  if (device->index_data == nullptr || index == nullptr) return {};
  std::size_t bytes = 0;
  const void* const data = device->index_data(masker_, index, &bytes);
  return {static_cast<const std::byte*>(data), bytes};
}

void MaskerInstance::fail(const char* what, const std::string& reason) const {
  throw PluginError(use_.type->library().string(),
                    fmt::format("masker \"{}\" {}: {}", use_.type->id(), what, reason));
}

}  // namespace maskerade
