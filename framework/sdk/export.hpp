// How a class becomes the one exported function of a plugin.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "framework/sdk/arguments.hpp"
#include "framework/sdk/description.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade::sdk::detail {

// Writes a text into a caller's buffer, cut if need be.
inline void write_error(const char* text, char* error, std::size_t error_size) noexcept {
  if (error_size == 0) return;
  const std::size_t length = std::min(std::strlen(text), error_size - 1);
  std::memcpy(error, text, length);
  error[length] = '\0';
}

// Every function that a plugin exports is a call of this: no exception crosses the boundary. Runs
// body and returns MASKERADE_OK; after an exception MASKERADE_FAILED, with its text in `error`.
template <typename Body>
std::int32_t guarded(char* error, std::size_t error_size, Body&& body) noexcept {
  try {
    body();
    return MASKERADE_OK;
  } catch (const std::exception& exception) {
    write_error(exception.what(), error, error_size);
  } catch (...) {
    write_error("it threw something that is no std::exception", error, error_size);
  }
  return MASKERADE_FAILED;
}
// The same for a function that cannot say that it failed: returns what body returns, or `otherwise`
// after an exception.
template <typename Value, typename Body>
Value guarded_or(Value otherwise, Body&& body) noexcept {
  guarded(nullptr, 0, [&] { otherwise = body(); });
  return otherwise;
}

// A class with an index declares: a type Index; unique_ptr<Index> build(const maskerade_key_span&)
// const; void append(Index&, const maskerade_key_span&) const; void truncate(Index&, int64_t)
// const, or with the span of the keys that stay; size_t size_bytes(const Index&) const; and static
// constexpr bool kIndexSpansFuture. Where appending keys gives the index that building over all of
// them gives, also static constexpr bool kAppendIsBuild = true.
template <typename Type>
concept HasIndex = requires {
  typename Type::Index;
};

template <HasIndex Type>
constexpr bool append_is_build() {
  if constexpr (requires { Type::kAppendIsBuild; }) return Type::kAppendIsBuild;
  return false;
}

template <HasIndex Type>
const maskerade_index_extension* index_extension() {
  using Index = typename Type::Index;
  static const maskerade_index_extension extension = {
      sizeof(maskerade_index_extension),
      Type::kIndexSpansFuture ? 1U : 0U,
      [](const void* masker, const maskerade_key_span* keys, void** index, char* error,
         std::size_t error_size) {
        return guarded(error, error_size,
                       [&] { *index = static_cast<const Type*>(masker)->build(*keys).release(); });
      },
      [](const void* masker, void* index, const maskerade_key_span* keys, char* error,
         std::size_t error_size) {
        return guarded(error, error_size, [&] {
          static_cast<const Type*>(masker)->append(*static_cast<Index*>(index), *keys);
        });
      },
      [](const void* masker, void* index, const maskerade_key_span* keys, char* error,
         std::size_t error_size) {
        return guarded(error, error_size, [&] {
          const Type& type = *static_cast<const Type*>(masker);
          if constexpr (requires(Index & made) { type.truncate(made, *keys); }) {
            type.truncate(*static_cast<Index*>(index), *keys);
          } else {
            type.truncate(*static_cast<Index*>(index), keys->key_end);
          }
        });
      },
      [](const void* masker, const void* index) {
        return guarded_or<std::size_t>(0, [&] {
          return static_cast<const Type*>(masker)->size_bytes(*static_cast<const Index*>(index));
        });
      },
      [](const void*, void* index) {
        guarded(nullptr, 0, [&] { delete static_cast<Index*>(index); });
      },
      [](const void* masker, const void* index, std::size_t* bytes, char* error,
         std::size_t error_size) {
        return guarded(error, error_size, [&] {
          *bytes = static_cast<const Type*>(masker)->size_bytes(*static_cast<const Index*>(index));
        });
      },
      append_is_build<Type>() ? 1U : 0U};
  return &extension;
}

// A masker class that can select on a CUDA device declares these functions:
//   optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call&) const
//     gives the most entries that it adds; nullopt makes the host select on the CPU instead.
//   void select_on_device(const maskerade_cuda_call&) const
//     enqueues the selection.
//   span<const float> index_data(const Index&) const
//     gives what is copied of an index to the device; only where select_on_device reads it.
template <typename Type>
concept SelectsOnDevice = requires(const Type& masker, const maskerade_cuda_call& call) {
  masker.device_bounds(call);
  masker.select_on_device(call);
};

// 1, and what the masker states; 0 where it selects on the CPU.
template <SelectsOnDevice Type>
std::int32_t bounds_of(const void* masker,
                       const maskerade_cuda_call& call,
                       maskerade_cuda_bounds& bounds) {
  const std::optional<maskerade_cuda_bounds> stated =
      static_cast<const Type*>(masker)->device_bounds(call);
  if (stated) bounds = *stated;
  return stated ? 1 : 0;
}
template <SelectsOnDevice Type>
const void* index_data_of(const void* masker, const void* index, std::size_t& bytes) {
  const std::span<const float> data = static_cast<const Type*>(masker)->index_data(
      *static_cast<const typename Type::Index*>(index));
  bytes = data.size_bytes();
  return data.data();
}

template <SelectsOnDevice Type>
const maskerade_cuda_extension* cuda_extension() {
  static const maskerade_cuda_extension extension = [] {
    maskerade_cuda_extension made = {};
    made.struct_size = sizeof(made);
    made.bounds = [](const void* masker, const maskerade_cuda_call* call,
                     maskerade_cuda_bounds* bounds) {
      return guarded_or<std::int32_t>(0, [&] { return bounds_of<Type>(masker, *call, *bounds); });
    };
    made.try_bounds = [](const void* masker, const maskerade_cuda_call* call,
                         maskerade_cuda_bounds* bounds, std::int32_t* is_on_device, char* error,
                         std::size_t error_size) {
      return guarded(error, error_size,
                     [&] { *is_on_device = bounds_of<Type>(masker, *call, *bounds); });
    };
    made.select = [](const void* masker, const maskerade_cuda_call* call, char* error,
                     std::size_t error_size) {
      return guarded(error, error_size,
                     [&] { static_cast<const Type*>(masker)->select_on_device(*call); });
    };
    if constexpr (HasIndex<Type>) {
      made.index_data = [](const void* masker, const void* index, std::size_t* bytes) {
        return guarded_or<const void*>(nullptr,
                                       [&] { return index_data_of<Type>(masker, index, *bytes); });
      };
      made.try_index_data = [](const void* masker, const void* index, const void** data,
                               std::size_t* bytes, char* error, std::size_t error_size) {
        return guarded(error, error_size,
                       [&] { *data = index_data_of<Type>(masker, index, *bytes); });
      };
    }
    return made;
  }();
  return &extension;
}

// The descriptor of a masker class and everything it points to.
template <typename Type>
class StaticDescriptor {
 public:
  // NULL when describe() throws; the loader reports it. build: how the library was built, static;
  // nullptr: unknown.
  static const maskerade_masker_descriptor* descriptor(
      const maskerade_build_extension* build = nullptr) noexcept {
    build_ = build;
    return guarded_or<const maskerade_masker_descriptor*>(nullptr, [] {
      static const StaticDescriptor only;
      return &only.descriptor_;
    });
  }

 private:
  StaticDescriptor() : description_(Type::describe()) {
    for (const Parameter& parameter : description_.parameters) rows_.push_back(parameter.c_row());
    descriptor_.abi_major = MASKERADE_ABI_MAJOR;
    descriptor_.abi_minor = MASKERADE_ABI_MINOR;
    descriptor_.struct_size = sizeof(descriptor_);
    descriptor_.depends_on = description_.depends_on;
    descriptor_.traits = description_.traits;
    descriptor_.id = description_.id;
    descriptor_.summary = description_.summary;
    descriptor_.reference = description_.reference;
    descriptor_.parameters = rows_.data();
    descriptor_.parameter_count = rows_.size();
    descriptor_.create = create;
    descriptor_.select = select;
    descriptor_.destroy = [](void* masker) {
      guarded(nullptr, 0, [&] { delete static_cast<Type*>(masker); });
    };
    descriptor_.get_extension = get_extension;
  }

  static std::int32_t create(const maskerade_create_info* info,
                             void** masker,
                             maskerade_grain* grain,
                             char* error,
                             std::size_t error_size) {
    return guarded(error, error_size, [&] {
      const Description description = Type::describe();
      auto made = std::make_unique<Type>(Arguments(*info, description));
      *grain = made->grain();
      *masker = made.release();
    });
  }
  static std::int32_t select(const void* masker,
                             const maskerade_call* call,
                             char* error,
                             std::size_t error_size) {
    return guarded(error, error_size, [&] { static_cast<const Type*>(masker)->select(*call); });
  }
  static const void* get_extension(const char* name) {
    return guarded_or<const void*>(nullptr, [&]() -> const void* {
      if constexpr (HasIndex<Type>) {
        if (std::string_view(name) == MASKERADE_EXTENSION_INDEX) return index_extension<Type>();
      }
      if constexpr (SelectsOnDevice<Type>) {
        if (std::string_view(name) == MASKERADE_EXTENSION_CUDA) return cuda_extension<Type>();
      }
      if (std::string_view(name) == MASKERADE_EXTENSION_BUILD) return build_;
      return nullptr;
    });
  }

  static inline const maskerade_build_extension* build_ = nullptr;

  Description description_;
  std::vector<maskerade_parameter> rows_;
  maskerade_masker_descriptor descriptor_{};
};

}  // namespace maskerade::sdk::detail

// Exports a masker class: the one symbol of a plugin. Once per library, at namespace scope.
#define MASKERADE_EXPORT_MASKER(Type)                                                       \
  extern "C" MASKERADE_EXPORT const maskerade_masker_descriptor* maskerade_masker_entry() { \
    static const maskerade_build_extension kBuild = MASKERADE_THIS_BUILD;                   \
    return maskerade::sdk::detail::StaticDescriptor<Type>::descriptor(&kBuild);             \
  }
