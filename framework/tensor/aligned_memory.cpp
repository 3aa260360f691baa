#include "framework/tensor/aligned_memory.hpp"

#include <stdlib.h>

#include <cstdlib>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace maskerade {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

void FreeAligned::operator()(void* memory) const noexcept { std::free(memory); }

std::unique_ptr<std::byte[], FreeAligned> allocate_aligned(std::size_t bytes) {
  const std::size_t alignment = bytes < kHugePage ? kTensorAlignment : kHugePage;
  void* memory = nullptr;
  if (::posix_memalign(&memory, alignment, bytes) != 0) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  // Only whole huge pages, since the rest of the last one is not ours. When the system refuses, the
  // memory is merely slower.
  if (bytes >= kHugePage) ::madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return std::unique_ptr<std::byte[], FreeAligned>(static_cast<std::byte*>(memory));
}

std::unique_ptr<float[], FreeAligned> aligned_floats(std::size_t count) {
  return std::unique_ptr<float[], FreeAligned>(
      reinterpret_cast<float*>(allocate_aligned(count * sizeof(float)).release()));
}

}  // namespace maskerade
