#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

#include "framework/select/cuda/product_kernel.hpp"
#include "framework/select/cuda/select_kernel.hpp"
#include "tests/attention/cuda/emulated_block.hpp"

// Runs the selection kernels on the CPU, in an emulated block of threads.
namespace maskerade::cuda {

// Has DeviceThread's functions for a thread of an emulated block.
class EmulatedThread {
 public:
  explicit EmulatedThread(EmulatedLane& lane) : lane_(lane) {}

  int thread() const { return lane_.thread(); }
  std::int64_t block() const { return lane_.block(); }
  void sync() const { lane_.sync(); }
  std::uint32_t ballot(bool value) const {
    std::uint32_t bits = std::uint32_t{value} << (lane_.thread() % 32);
    for (int distance = 1; distance < 32; distance *= 2) {
      bits |= lane_.shuffle(bits, lane_.in_warp() ^ distance);
    }
    return bits;
  }
  // Plain operations suffice: an emulated thread runs alone until it waits.
  void atomic_add(int* to, int value) const { *to += value; }
  void atomic_or(std::uint32_t* to, std::uint32_t value) const { *to |= value; }
  template <DType kType>
  float load(const void* data, std::int64_t index) const {
    return lane_.load<kType>(data, index);
  }

 private:
  EmulatedLane& lane_;
};

// Gives a selection kernel the constructor that run_emulated() calls.
template <typename Kernel, typename... Jobs>
struct OnEmulatedLane {
  static constexpr int kThreads = Kernel::kThreads;
  OnEmulatedLane(EmulatedLane& lane, const std::tuple<const Jobs&...>& all, int, std::byte* shared)
      : thread(lane),
        kernel(std::apply([&](const Jobs&... each) { return Kernel(thread, each..., shared); },
                          all)) {}
  void run() { kernel.run(); }

  EmulatedThread thread;
  Kernel kernel;
};

// Runs a selection kernel of so many blocks.
template <typename Kernel, typename... Jobs>
void run_selection(std::int64_t blocks, const Jobs&... jobs) {
  run_emulated<OnEmulatedLane<Kernel, Jobs...>>(
      {.blocks = blocks, .shared_bytes = Kernel::kSharedBytes, .seed = 1}, std::tie(jobs...), 0);
}

}  // namespace maskerade::cuda
