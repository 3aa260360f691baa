#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace maskerade {

inline constexpr std::size_t kTensorAlignment = 64;

struct FreeAligned {
  void operator()(void* memory) const noexcept;
};

// kTensorAlignment-aligned memory, not cleared. Throws std::bad_alloc.
//
// From 2 MiB on it begins on a huge page and asks the system for huge pages, where it has them:
// rows that are gathered from a long cache lie each in a small page of its own, and what the
// processor then spends on finding the pages is as much as what it spends on reading the rows.
std::unique_ptr<std::byte[], FreeAligned> allocate_aligned(std::size_t bytes);

// A vector of floats in such memory.
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

// 64-byte aligned float32 scratch memory, not cleared; likewise.
std::unique_ptr<float[], FreeAligned> aligned_floats(std::size_t count);

}  // namespace maskerade
