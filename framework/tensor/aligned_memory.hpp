#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace maskerade {

// In bytes: tensors begin at a multiple of this address.
inline constexpr std::size_t kTensorAlignment = 64;

// Frees what allocate_aligned() gave.
struct FreeAligned {
  void operator()(void* memory) const noexcept;
};

// Allocates host memory that begins at a multiple of kTensorAlignment and is not cleared. Throws
// std::bad_alloc.
//
// From 2 MiB on, the memory begins on a huge page, and the system is asked for huge pages.
// Rationale: when rows are gathered from a long cache, each lies in another page; with small pages
// the processor spends as much time on finding pages as on reading rows.
std::unique_ptr<std::byte[], FreeAligned> allocate_aligned(std::size_t bytes);

// Lets a std::vector use allocate_aligned().
template <typename T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <typename U>
  explicit AlignedAllocator(const AlignedAllocator<U>&) noexcept {}
  T* allocate(std::size_t count) {
    return reinterpret_cast<T*>(allocate_aligned(count * sizeof(T)).release());
  }
  void deallocate(T* memory, std::size_t) noexcept { FreeAligned()(memory); }
  friend bool operator==(const AlignedAllocator&, const AlignedAllocator&) { return true; }
};
using AlignedFloats = std::vector<float, AlignedAllocator<float>>;

// Memory for `count` float32 values from allocate_aligned(), not cleared.
std::unique_ptr<float[], FreeAligned> aligned_floats(std::size_t count);

}  // namespace maskerade
