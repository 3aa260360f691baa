#include "framework/pipeline/masker_instance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/pipeline/declared.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kErrorBytes = 1024;

// Whether a query does not see every key.
bool leaves_keys_unseen(const Visibility& visibility) {
  return std::any_of(visibility.ends().begin(), visibility.ends().end(),
                     [&](std::int64_t end) { return end < visibility.key_len(); });
}

}  // namespace

// Calls change(keys, kv_head, index) for each (batch, kv head), with its keys of the range, many at
// once.
template <typename Change>
void MaskerInstance::for_each_index(const AttentionInputs& inputs,
                                    KeyInterval range,
                                    const Threads& threads,
                                    Change&& change) {
  threads.for_each(static_cast<std::int64_t>(indexes_.size()), [&](std::int64_t item, int) {
    const maskerade_key_span span = shown_keys(inputs, item, range.begin, range.end,
                                               readable_by(use_.type->descriptor()), host());
    change(span, item % inputs.shape.kv_heads, indexes_[static_cast<std::size_t>(item)]);
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
                         .depends_on = readable_by(use_.type->descriptor())})) {
  maskerade_create_info info{};
  info.struct_size = sizeof(info);
  info.shape = shown_shape(inputs.shape, readable_by(use_.type->descriptor()));
  info.causal = shown_causal(inputs.visibility, readable_by(use_.type->descriptor()));
  info.layer = inputs.layer;
  info.arguments = use_.arguments->view().data();
  info.argument_count = use_.arguments->view().size();
  info.host = host_->c_host();
  try {
    run("cannot be created", [&](char* error, std::size_t size) {
      const std::int32_t status =
          use_.type->descriptor().create(&info, &masker_, &grain_, error, size);
      owned_ = status == MASKERADE_OK;
      return status;
    });
    if (grain_.query_block < 1 || grain_.heads > MASKERADE_HEADS_ALL) {
      fail("cannot be created",
           fmt::format("its grain is {} tokens, heads {}; the block must be at least 1 and heads a "
                       "MASKERADE_HEADS_ value",
                       grain_.query_block, grain_.heads));
    }
  } catch (...) {
    destroy();
    throw;
  }
}

MaskerInstance::MaskerInstance(MaskerInstance&& other) noexcept
    : use_(std::move(other.use_)),
      host_(std::move(other.host_)),
      owned_(std::exchange(other.owned_, false)),
      masker_(other.masker_),
      grain_(other.grain_),
      indexes_(std::move(other.indexes_)) {}

MaskerInstance::~MaskerInstance() { destroy(); }

void MaskerInstance::destroy() noexcept {
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
  for_each_index(inputs, all, threads,
                 [&](const maskerade_key_span& span, std::int64_t kv_head, const void*& index) {
                   if (!heads.reads(kv_head, inputs.shape)) return;
                   void* made = nullptr;
                   run("cannot build its index", [&](char* error, std::size_t size) {
                     const std::int32_t status =
                         index_functions()->build(masker_, &span, &made, error, size);
                     if (status == MASKERADE_OK) index = made;
                     return status;
                   });
                   if (made == nullptr) fail("cannot build its index", "it gave NULL");
                 });
}

void MaskerInstance::append_to_indexes(const AttentionInputs& inputs,
                                       KeyInterval added,
                                       const Threads& threads) {
  for_each_index(inputs, added, threads,
                 [&](const maskerade_key_span& span, std::int64_t, const void*& index) {
                   if (index == nullptr) return;
                   run("cannot append to its index", [&](char* error, std::size_t size) {
                     return index_functions()->append(masker_, const_cast<void*>(index), &span,
                                                      error, size);
                   });
                 });
}

void MaskerInstance::truncate_indexes(const AttentionInputs& inputs, const Threads& threads) {
  const KeyInterval kept{0, inputs.shape.key_len};
  for_each_index(
      inputs, kept, threads, [&](const maskerade_key_span& span, std::int64_t, const void*& index) {
        if (index == nullptr) return;
        run("cannot truncate its index", [&](char* error, std::size_t size) {
          return index_functions()->truncate(masker_, const_cast<void*>(index), &span, error, size);
        });
      });
}

std::int64_t MaskerInstance::index_bytes() const {
  std::int64_t sum = 0;
  for (const void* index : indexes_) {
    if (index == nullptr) continue;
    std::size_t bytes = 0;
    if (index_functions()->try_size_bytes == nullptr) {
      bytes = index_functions()->size_bytes(masker_, index);
    } else {
      run("cannot tell the size of its index", [&](char* error, std::size_t size) {
        return index_functions()->try_size_bytes(masker_, index, &bytes, error, size);
      });
    }
    sum += static_cast<std::int64_t>(bytes);
  }
  return sum;
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
  run(
      "failed",
      [&](char* error, std::size_t size) {
        return use_.type->descriptor().select(masker_, &host.call(), error, size);
      },
      host.failure());
}

std::optional<maskerade_cuda_bounds> MaskerInstance::device_bounds(
    const maskerade_cuda_call& call) const {
  const maskerade_cuda_extension* const device = use_.type->extension<maskerade_cuda_extension>();
  if (device == nullptr) return std::nullopt;
  maskerade_cuda_bounds bounds{};
  std::int32_t is_on_device = 0;
  if (device->try_bounds == nullptr) {
    is_on_device = device->bounds(masker_, &call, &bounds);
  } else {
    run("cannot state its bounds on the device", [&](char* error, std::size_t size) {
      return device->try_bounds(masker_, &call, &bounds, &is_on_device, error, size);
    });
  }
  return is_on_device != 0 ? std::optional(bounds) : std::nullopt;
}

void MaskerInstance::select_on_device(const maskerade_cuda_call& call,
                                      const std::string& failure) const {
  run(
      "failed on the device",
      [&](char* error, std::size_t size) {
        return use_.type->extension<maskerade_cuda_extension>()->select(masker_, &call, error,
                                                                        size);
      },
      failure);
}

std::span<const std::byte> MaskerInstance::index_data(const void* index) const {
  const maskerade_cuda_extension* const device = use_.type->extension<maskerade_cuda_extension>();
  if (device->index_data == nullptr || index == nullptr) return {};
  const void* data = nullptr;
  std::size_t bytes = 0;
  if (device->try_index_data == nullptr) {
    data = device->index_data(masker_, index, &bytes);
  } else {
    run("cannot hand its index to the device", [&](char* error, std::size_t size) {
      return device->try_index_data(masker_, index, &data, &bytes, error, size);
    });
  }
  return {static_cast<const std::byte*>(data), bytes};
}

template <typename Function>
void MaskerInstance::run(const char* what,
                         Function&& function,
                         const std::string& refusal_of_call) const {
  std::array<char, kErrorBytes> error{};
  const std::int32_t status = function(error.data(), error.size());
  if (!refusal_of_call.empty()) fail(what, refusal_of_call);
  const std::string refusal = host_->refusal();
  if (!refusal.empty()) fail(what, refusal);
  if (status != MASKERADE_OK) fail(what, error[0] == '\0' ? "it gives no reason" : error.data());
}

void MaskerInstance::fail(const char* what, const std::string& reason) const {
  throw PluginError(use_.type->library().string(),
                    fmt::format("masker \"{}\" {}: {}", use_.type->id(), what, reason));
}

}  // namespace maskerade
