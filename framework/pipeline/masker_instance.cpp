#include "framework/pipeline/masker_instance.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "framework/base/saturate.hpp"
#include "framework/pipeline/declared.hpp"

namespace maskerade {
namespace {

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
    const maskerade_key_span span =
        shown_keys(inputs, item, range.begin, range.end, readable_by(type().descriptor()), host());
    change(span, item % inputs.shape.kv_heads, indexes_[static_cast<std::size_t>(item)]);
  });
}

MaskerInstance::~MaskerInstance() {
  for (const void* index : indexes_) {
    if (index == nullptr) continue;
    loaded_->release("destroy() of its index", [&] {
      index_functions()->destroy(loaded_->instance(), const_cast<void*>(index));
    });
  }
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
                   loaded_->run("cannot build its index", [&](char* error, std::size_t size) {
                     const std::int32_t status =
                         index_functions()->build(loaded_->instance(), &span, &made, error, size);
                     if (status == MASKERADE_OK) index = made;
                     return status;
                   });
                   if (made == nullptr) loaded_->fail("cannot build its index", "it gave NULL");
                 });
}

void MaskerInstance::append_to_indexes(const AttentionInputs& inputs,
                                       KeyInterval added,
                                       const Threads& threads) {
  for_each_index(inputs, added, threads,
                 [&](const maskerade_key_span& span, std::int64_t, const void*& index) {
                   if (index == nullptr) return;
                   loaded_->run("cannot append to its index", [&](char* error, std::size_t size) {
                     return index_functions()->append(loaded_->instance(), const_cast<void*>(index),
                                                      &span, error, size);
                   });
                 });
}

void MaskerInstance::truncate_indexes(const AttentionInputs& inputs, const Threads& threads) {
  const KeyInterval kept{0, inputs.shape.key_len};
  for_each_index(inputs, kept, threads,
                 [&](const maskerade_key_span& span, std::int64_t, const void*& index) {
                   if (index == nullptr) return;
                   loaded_->run("cannot truncate its index", [&](char* error, std::size_t size) {
                     return index_functions()->truncate(
                         loaded_->instance(), const_cast<void*>(index), &span, error, size);
                   });
                 });
}

std::int64_t MaskerInstance::index_bytes() const {
  std::int64_t sum = 0;
  for (const void* index : indexes_) {
    if (index == nullptr) continue;
    std::size_t bytes = 0;
    constexpr const char* kWhat = "cannot tell the size of its index";
    if (index_functions()->try_size_bytes == nullptr) {
      loaded_->run_infallible(
          kWhat, [&] { bytes = index_functions()->size_bytes(loaded_->instance(), index); });
    } else {
      loaded_->run(kWhat, [&](char* error, std::size_t size) {
        return index_functions()->try_size_bytes(loaded_->instance(), index, &bytes, error, size);
      });
    }
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    sum = saturating_sum(sum, static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, kMost)));
  }
  return sum;
}

MaskerReport MaskerInstance::report(const AttentionInputs& inputs) const {
  MaskerReport report{.id = type().id()};
  if (index_functions() == nullptr) return report;
  report.index_bytes = index_bytes();
  report.index_spans_future =
      index_functions()->spans_future != 0 && leaves_keys_unseen(inputs.visibility);
  return report;
}

void MaskerInstance::select(const HostCall& host) const {
  loaded_->run(
      "failed",
      [&](char* error, std::size_t size) {
        return type().descriptor().select(loaded_->instance(), &host.call(), error, size);
      },
      host.failure());
}

std::optional<maskerade_cuda_bounds> MaskerInstance::device_bounds(
    const maskerade_cuda_call& call) const {
  const maskerade_cuda_extension* const device = type().extension<maskerade_cuda_extension>();
  if (device == nullptr) return std::nullopt;
  maskerade_cuda_bounds bounds{};
  std::int32_t is_on_device = 0;
  constexpr const char* kWhat = "cannot state its bounds on the device";
  if (device->try_bounds == nullptr) {
    loaded_->run_infallible(
        kWhat, [&] { is_on_device = device->bounds(loaded_->instance(), &call, &bounds); });
  } else {
    loaded_->run(kWhat, [&](char* error, std::size_t size) {
      return device->try_bounds(loaded_->instance(), &call, &bounds, &is_on_device, error, size);
    });
  }
  return is_on_device != 0 ? std::optional(bounds) : std::nullopt;
}

void MaskerInstance::select_on_device(const maskerade_cuda_call& call,
                                      const std::string& failure) const {
  loaded_->run(
      "failed on the device",
      [&](char* error, std::size_t size) {
        return type().extension<maskerade_cuda_extension>()->select(loaded_->instance(), &call,
                                                                    error, size);
      },
      failure);
}

std::span<const std::byte> MaskerInstance::index_data(const void* index) const {
  const maskerade_cuda_extension* const device = type().extension<maskerade_cuda_extension>();
  if (device->index_data == nullptr || index == nullptr) return {};
  const void* data = nullptr;
  std::size_t bytes = 0;
  constexpr const char* kWhat = "cannot hand its index to the device";
  if (device->try_index_data == nullptr) {
    loaded_->run_infallible(kWhat,
                            [&] { data = device->index_data(loaded_->instance(), index, &bytes); });
  } else {
    loaded_->run(kWhat, [&](char* error, std::size_t size) {
      return device->try_index_data(loaded_->instance(), index, &data, &bytes, error, size);
    });
  }
  return {static_cast<const std::byte*>(data), bytes};
}

}  // namespace maskerade
