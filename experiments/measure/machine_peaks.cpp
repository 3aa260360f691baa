#include "experiments/measure/machine_peaks.hpp"

#include <algorithm>
#include <new>
#include <numeric>
#include <vector>

#include "attention/cpu/matrix_arithmetic.hpp"
#include "framework/base/process_limits.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/tensor/aligned_memory.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "experiments/measure/machine_peaks.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for each target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Independent chains of multiply-adds. There are more of them than any target has in flight at once
// (latency times issue width), and with two operands they fit into 16 registers.
constexpr int kChains = 12;
constexpr int kSums = 8;  // independent sums, for the same reason

// Runs `rounds` multiply-adds in each of kChains chains and returns the number of flops. Stores
// what they give in *result, so that the compiler cannot leave the work out.
double run_multiply_adds(std::int64_t rounds, float* result) {
  const hn::ScalableTag<float> d;
  // The chains stay finite: x = x / 2 + 1 tends to 2.
  const auto factor = hn::Set(d, 0.5F);
  const auto term = hn::Set(d, 1.0F);
  hn::Vec<decltype(d)> chains[kChains];
  // Rationale: chains with equal starts would be merged into one by the compiler.
  for (int c = 0; c < kChains; ++c) chains[c] = hn::Set(d, result[0] + static_cast<float>(c));
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (int c = 0; c < kChains; ++c) chains[c] = hn::MulAdd(chains[c], factor, term);
  }
  for (int c = 1; c < kChains; ++c) chains[0] = hn::Add(chains[0], chains[c]);
  result[0] = hn::GetLane(chains[0]);
  return 2.0 * kChains * static_cast<double>(rounds) * static_cast<double>(hn::Lanes(d));
}

// The sum of `count` words. `words` is aligned to vectors, `count` a multiple of kSums vectors.
std::uint64_t sum_words(const std::uint64_t* words, std::int64_t count) {
  const hn::ScalableTag<std::uint64_t> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sums[kSums];
  for (int c = 0; c < kSums; ++c) sums[c] = hn::Zero(d);
  for (std::int64_t i = 0; i < count; i += kSums * lanes) {
    for (int c = 0; c < kSums; ++c) sums[c] = hn::Add(sums[c], hn::Load(d, words + i + c * lanes));
  }
  for (int c = 1; c < kSums; ++c) sums[0] = hn::Add(sums[0], sums[c]);
  return hn::GetLane(hn::SumOfLanes(d, sums[0]));
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {
HWY_EXPORT(run_multiply_adds);
HWY_EXPORT(sum_words);

namespace {

constexpr int kTimings = 7;
// Work is cut into many small items, so that the other threads take over the share of a thread that
// starts late or is interrupted.
constexpr std::int64_t kRoundsPerItem = 200'000;
constexpr std::int64_t kArithmeticItemsPerThread = 8;
constexpr std::int64_t kBytesPerItem = std::int64_t{2} << 20;

// The best rate, in units of `work` per second, of kTimings runs of `body`, after an untimed run.
// `work` is what one run does. Rationale: a peak is what the machine can do; whatever else it did
// meanwhile only makes a run slower.
template <typename Body>
double best_rate(double work, Body&& body) {
  body();
  double best = 0;
  for (int i = 0; i < kTimings; ++i) {
    const Stopwatch stopwatch;
    body();
    best = std::max(best, work / (stopwatch.elapsed_ms() / 1000));
  }
  return best;
}

std::int64_t arithmetic_items(const Threads& threads) {
  return kArithmeticItemsPerThread * threads.count();
}

// The best flops per second of a loop over arithmetic_items() items. run_item(item) does one item
// and returns its flops.
template <typename Item>
double rate_of_items(const Threads& threads, const Item& run_item) {
  const std::int64_t items = arithmetic_items(threads);
  std::vector<double> flops(static_cast<std::size_t>(items));
  const auto body = [&] {
    threads.for_each(items, [&](std::int64_t item, int) {
      flops[static_cast<std::size_t>(item)] = run_item(static_cast<std::size_t>(item));
    });
  };
  body();
  return best_rate(std::accumulate(flops.begin(), flops.end(), 0.0), body);
}

}  // namespace

double measure_flops_per_second(const Threads& threads) {
  std::vector<float> results(static_cast<std::size_t>(arithmetic_items(threads)), 1.0F);
  return rate_of_items(threads, [&](std::size_t item) {
    return HWY_DYNAMIC_DISPATCH(run_multiply_adds)(kRoundsPerItem, &results[item]);
  });
}

double measure_matrix_flops_per_second(const Threads& threads) {
  return rate_of_items(threads, [](std::size_t) { return run_matrix_unit(kRoundsPerItem / 4); });
}

double measure_read_bytes_per_second(const Threads& threads) {
  // Rationale: the system ends a process that goes beyond the limit of its control group.
  if (process_limits().memory_bytes / 2 < static_cast<std::uint64_t>(kReadProbeBytes)) {
    throw std::bad_alloc();
  }
  const auto words = static_cast<std::size_t>(kReadProbeBytes) / sizeof(std::uint64_t);
  // The kind of memory that tensors use.
  const auto memory = allocate_aligned(words * sizeof(std::uint64_t));
  auto* const buffer = reinterpret_cast<std::uint64_t*>(memory.get());
  const std::int64_t items = kReadProbeBytes / kBytesPerItem;
  const auto words_per_item = static_cast<std::int64_t>(words) / items;
  // Rationale: pages that were never written may all be backed by one page of zeros, which the
  // caches would hold.
  threads.for_each(items, [&](std::int64_t item, int) {
    std::fill_n(buffer + item * words_per_item, words_per_item, static_cast<std::uint64_t>(item));
  });
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(items));
  return best_rate(static_cast<double>(kReadProbeBytes), [&] {
    threads.for_each(items, [&](std::int64_t item, int) {
      sums[static_cast<std::size_t>(item)] =
          HWY_DYNAMIC_DISPATCH(sum_words)(buffer + item * words_per_item, words_per_item);
    });
  });
}

MachinePeaks measure_peaks(const Threads& threads) {
  return {.flops_per_second = measure_flops_per_second(threads),
          .read_bytes_per_second = measure_read_bytes_per_second(threads),
          .matrix_flops_per_second = measure_matrix_flops_per_second(threads)};
}

MachinePeaks peaks_for(const MachinePeaks& peaks, DType dtype, std::int64_t head_dim) {
  MachinePeaks usable = peaks;
  usable.flops_per_second = peaks.flops_with(matrix_products(dtype, head_dim));
  usable.flops_source =
      usable.flops_per_second > peaks.flops_per_second ? "matrix tiles" : "vectors";
  return usable;
}

MachinePeaks larger_of(const MachinePeaks& a, const MachinePeaks& b) {
  MachinePeaks larger = a;
  larger.flops_per_second = std::max(a.flops_per_second, b.flops_per_second);
  larger.read_bytes_per_second = std::max(a.read_bytes_per_second, b.read_bytes_per_second);
  larger.matrix_flops_per_second = std::max(a.matrix_flops_per_second, b.matrix_flops_per_second);
  return larger;
}

double MachinePeaks::flops_with(double matrix_products) const noexcept {
  if (matrix_products == 0) return flops_per_second;
  return std::max(flops_per_second, matrix_flops_per_second / matrix_products);
}

}  // namespace maskerade
#endif  // HWY_ONCE
