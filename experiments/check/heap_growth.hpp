#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace maskerade::check {

// The bytes of the heap that are in use, as the allocator of the C library counts them: of its main
// arena and of what it has mapped. nullopt where a sanitizer owns the heap. [one thread]
std::optional<std::int64_t> heap_bytes_in_use();

// Has all threads allocate from the main arena from now on. To be called before there are others.
void use_one_heap();

// What the heap grew by while something was done again and again.
struct HeapGrowth {
  std::int64_t rounds = 0;
  std::int64_t bytes = 0;
  bool is_steady = false;  // it grew in each of the last parts of the rounds

  // Whether what was done leaves memory behind: one lasting allocation, or a few, are no leak.
  bool is_leak() const noexcept { return is_steady && bytes >= 8 * rounds; }
};
// Runs rounds until what they allocate once is allocated, then counts over five parts, each of
// twice as many rounds as the one before: memory that doubles when it is full grows in each, too.
// The first two may live on what the allocator keeps for a thread. Takes about a third of a second
// at most, unless 78 rounds take longer. nullopt as heap_bytes_in_use().
std::optional<HeapGrowth> heap_growth(const std::function<void()>& round);

}  // namespace maskerade::check
