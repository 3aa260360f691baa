#include "experiments/check/heap_growth.hpp"

#include <malloc.h>

#include <algorithm>

#include "framework/base/stopwatch.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || \
    __has_feature(thread_sanitizer)
#define MASKERADE_HEAP_IS_A_SANITIZERS
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MASKERADE_HEAP_IS_A_SANITIZERS
#endif

namespace maskerade::check {

std::optional<std::int64_t> heap_bytes_in_use() {
#if defined(MASKERADE_HEAP_IS_A_SANITIZERS)
  return std::nullopt;
#else
  const struct mallinfo2 heap = mallinfo2();
  return static_cast<std::int64_t>(heap.uordblks + heap.hblkhd);
#endif
}

void use_one_heap() {
#if !defined(MASKERADE_HEAP_IS_A_SANITIZERS)
  mallopt(M_ARENA_MAX, 1);
#endif
}

std::optional<HeapGrowth> heap_growth(const std::function<void()>& round) {
  if (!heap_bytes_in_use()) return std::nullopt;
  constexpr int kWarmRounds = 16;
  constexpr int kParts = 5;
  constexpr int kKeptParts = 2;
  constexpr double kMostMs = 300;
  const Stopwatch stopwatch;
  for (int i = 0; i < kWarmRounds; ++i) round();
  const double round_ms = stopwatch.elapsed_ms() / kWarmRounds;
  // The parts have 1, 2, 4, 8 and 16 times as many rounds as the first.
  const auto most = static_cast<std::int64_t>(kMostMs / (31 * std::max(round_ms, 0.001)));
  std::int64_t rounds = std::clamp<std::int64_t>(most, 2, 32);
  HeapGrowth growth{.is_steady = true};
  for (int part = 0; part < kParts; ++part, rounds *= 2) {
    const std::int64_t before = *heap_bytes_in_use();
    for (std::int64_t i = 0; i < rounds; ++i) round();
    const std::int64_t grown = *heap_bytes_in_use() - before;
    growth.rounds += rounds;
    growth.bytes += grown;
    growth.is_steady = growth.is_steady && (part < kKeptParts || grown > 0);
  }
  return growth;
}

}  // namespace maskerade::check
