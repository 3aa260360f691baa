#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "framework/tensor/dtype.hpp"

// A block of a GPU on the CPU: every thread is a coroutine that runs until it must wait for others.
// The operations of the hardware are written after the PTX ISA (mma.m16n8k16, ldmatrix, cp.async)
// and share no index arithmetic with the kernels. Warps run in random order. Asynchronous copies
// fill their target with NaN when they start and arrive at the latest moment that the hardware may
// take: when they are waited for.
namespace maskerade::cuda {

class EmulatedBlock;

// A thread of an emulated block. Its functions do what those of DeviceLane do, see there.
class EmulatedLane {
 public:
  int thread() const { return thread_; }
  int in_warp() const { return thread_ % 32; }
  std::int64_t block() const;

  void sync();
  void sync_warp() { exchange(0); }
  bool all_in_warp(bool value) {
    const auto& values = exchange(value);
    bool all = true;
    for (int lane = 0; lane < 32; ++lane) all = all && as<bool>(values, lane);
    return all;
  }
  float shuffle_xor(float value, int distance) {
    return as<float>(exchange(value), in_warp() ^ distance);
  }
  template <typename T>
  T shuffle(T value, int source) {
    return as<T>(exchange(value), source);
  }
  float exp2(float x) const { return std::exp2(x); }

  void copy_async(std::byte* shared, const std::byte* global, bool is_valid);
  void commit_copies() { groups_.emplace_back(); }
  template <int kPending>
  void wait_copies() {
    // The last group is still open: its copies have not been committed.
    while (groups_.size() > kPending + 1) {
      for (const Copy& copy : groups_.front()) {
        if (copy.global == nullptr) {
          std::memset(copy.shared, 0, 16);
        } else {
          std::memcpy(copy.shared, copy.global, 16);
        }
      }
      groups_.erase(groups_.begin());
    }
  }

  // PTX ISA, ldmatrix: thread 8 i + r gives the address of row r of matrix i; thread l receives
  // elements 2 (l % 4) and 2 (l % 4) + 1 of row l / 4 of each.
  void load_matrices(std::uint32_t (&r)[4], const std::byte* row) {
    const auto& rows = exchange_row(row);
    for (int i = 0; i < 4; ++i) {
      const auto* source = as<const std::byte*>(rows, 8 * i + in_warp() / 4);
      std::memcpy(&r[i], source + 4 * (in_warp() % 4), 4);
    }
  }
  // With .trans thread l receives the elements of rows 2 (l % 4) and 2 (l % 4) + 1 in column l / 4.
  void load_matrices_transposed(std::uint32_t (&r)[4], const std::byte* row) {
    const auto& rows = exchange_row(row);
    for (int i = 0; i < 4; ++i) {
      std::uint16_t halves[2];
      for (int h = 0; h < 2; ++h) {
        const auto* source = as<const std::byte*>(rows, 8 * i + 2 * (in_warp() % 4) + h);
        std::memcpy(&halves[h], source + 2 * (in_warp() / 4), 2);
      }
      r[i] = halves[0] | (std::uint32_t{halves[1]} << 16);
    }
  }

  // PTX ISA, matrix fragments for mma.m16n8k16 with 16-bit a and b: with group = l / 4 and
  // in_group = l % 4, a_i lies in row group (i < 2 or 4 <= i < 6) or group + 8 and column
  // 2 in_group + (i & 1), plus 8 for i >= 4; b_i in row 2 in_group + (i & 1), plus 8 for i >= 2,
  // and column group; c_i in row group (i < 2) or group + 8 and column 2 in_group + (i & 1).
  template <DType kType>
  void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    const std::uint32_t registers[6] = {a[0], a[1], a[2], a[3], b0, b1};
    std::array<float, 12> widened;  // a_0 ... a_7, b_0 ... b_3
    convert_to_float(kType, registers, 12, widened.data());
    const Slots& all = exchange(widened);
    for (int i = 0; i < 4; ++i) {
      const int row = in_warp() / 4 + (i < 2 ? 0 : 8);
      const int column = 2 * (in_warp() % 4) + (i & 1);
      float sum = c[i];
      for (int k = 0; k < 16; ++k) {
        const int a_element = (k & 1) + (row < 8 ? 0 : 2) + (k < 8 ? 0 : 4);
        const int b_element = (k & 1) + (k < 8 ? 0 : 2);
        sum += element(all, row % 8 * 4 + k % 8 / 2, a_element) *
               element(all, column * 4 + k % 8 / 2, 8 + b_element);
      }
      c[i] = sum;
    }
  }
  template <DType kType>
  std::uint32_t pack(float first, float second) const {
    const float values[2] = {first, second};
    std::uint32_t packed = 0;
    convert_from_float(kType, values, 2, &packed);
    return packed;
  }
  template <DType kType>
  float load(const void* data, std::int64_t index) const {
    return load_float(kType, data, static_cast<std::size_t>(index));
  }
  void store_pair(float* to, float first, float second) const {
    if (reinterpret_cast<std::uintptr_t>(to) % 8 != 0)
      throw std::logic_error("store_pair: address");
    to[0] = first;
    to[1] = second;
  }

  struct Slot {
    alignas(16) std::byte bytes[48];
  };
  using Slots = std::array<Slot, 32>;
  // Gives a value to the warp, waits until all its threads have given one, and returns all of them;
  // they stay until the exchange after the next.
  template <typename T>
  const Slots& exchange(const T& value);
  template <typename T>
  static T as(const Slots& slots, int lane) {
    T value;
    std::memcpy(&value, slots[static_cast<std::size_t>(lane)].bytes, sizeof(T));
    return value;
  }
  // Lets other warps run first.
  void pause();
  // Waits until is_over() is true.
  void wait_until(std::function<bool()> is_over);

 private:
  friend class EmulatedBlock;
  struct Copy {
    std::byte* shared;
    const std::byte* global;  // null: zeros
  };
  enum class State { kReady, kAtWarp, kAtBlock, kWaiting, kDone };

  const Slots& exchange_row(const std::byte* row);

  static float element(const Slots& slots, int lane, int i) {
    float value;
    std::memcpy(&value, slots[static_cast<std::size_t>(lane)].bytes + 4 * i, 4);
    return value;
  }

  EmulatedBlock* owner_ = nullptr;
  int thread_ = 0;
  State state_ = State::kReady;
  std::int64_t exchanges_ = 0;
  std::function<bool()> is_over_;             // of wait_until()
  std::vector<std::vector<Copy>> groups_{1};  // copies that have not arrived
  bool has_begun_ = false;
  ucontext_t context_ = {};  // of the first turn
  jmp_buf resume_point_;     // of later turns
};

class EmulatedBlock {
 public:
  static constexpr std::size_t kStackBytes = 128 * 1024;

  // The memory of a block. It belongs to the caller.
  struct Memory {
    std::byte* shared;  // [shared_bytes]
    int shared_bytes;
    std::byte* stacks;  // [threads][kStackBytes]
  };

  // block: its number in the grid. seed: of the order in which warps run.
  EmulatedBlock(int threads, std::int64_t block, const Memory& memory, unsigned seed)
      : stacks_(memory.stacks),
        block_(block),
        shared_(memory.shared),
        shared_bytes_(memory.shared_bytes),
        random_(seed),
        warps_(static_cast<std::size_t>(threads / 32)),
        lanes_(static_cast<std::size_t>(threads)) {}

  // Begins asynchronous work: finish() is called once, when no thread can go on without it. Works
  // finish in random order.
  void begin(std::function<void()> finish) { begun_.push_back(std::move(finish)); }

  // Runs body(lane) in every thread until all have ended. Throws std::logic_error when threads wait
  // for each other in vain or asynchronous work is left over, and rethrows what a thread throws.
  void run(const std::function<void(EmulatedLane&)>& body) {
    body_ = &body;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      EmulatedLane& lane = lanes_[i];
      lane.owner_ = this;
      lane.thread_ = static_cast<int>(i);
      getcontext(&lane.context_);
      lane.context_.uc_stack.ss_sp = stacks_ + i * kStackBytes;
      lane.context_.uc_stack.ss_size = kStackBytes;
      lane.context_.uc_link = nullptr;
      const auto address = reinterpret_cast<std::uintptr_t>(&lane);
      makecontext(&lane.context_, reinterpret_cast<void (*)()>(&EmulatedBlock::start), 2,
                  static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
    }
    for (;;) {
      bool has_run = false;
      for (EmulatedLane& lane : lanes_) {
        if (lane.state_ == EmulatedLane::State::kWaiting && lane.is_over_()) {
          lane.state_ = EmulatedLane::State::kReady;
        }
      }
      std::vector<std::size_t> order(warps_.size());
      for (std::size_t w = 0; w < order.size(); ++w) order[w] = w;
      std::shuffle(order.begin(), order.end(), random_);
      // One warp runs as far as it can, then another is chosen.
      for (const std::size_t w : order) {
        if (run_warp(w)) {
          has_run = true;
          break;
        }
      }
      if (error_) std::rethrow_exception(error_);
      if (has_run) continue;
      const bool has_ended = all_are(EmulatedLane::State::kDone);
      if (has_ended && !begun_.empty()) {
        throw std::logic_error("a block ended before what it began has finished");
      }
      if (has_ended) break;
      if (finish_one()) continue;
      if (!all_are(EmulatedLane::State::kAtBlock)) {
        throw std::logic_error("a block waits for threads that are elsewhere or have ended");
      }
      for (EmulatedLane& lane : lanes_) lane.state_ = EmulatedLane::State::kReady;
    }
    for (const EmulatedLane& lane : lanes_) {
      for (const auto& group : lane.groups_) {
        if (!group.empty()) throw std::logic_error("a thread ended before its copies arrived");
      }
    }
  }

 private:
  friend class EmulatedLane;
  struct Warp {
    EmulatedLane::Slots slots[2];
  };

  // The first function of a thread. Rationale: makecontext() passes numbers of 32 bits, so the
  // lane's address comes in two halves.
  static void start(unsigned high, unsigned low) {
    auto* const lane = reinterpret_cast<EmulatedLane*>((std::uintptr_t{high} << 32) | low);
    EmulatedBlock& block = *lane->owner_;
    try {
      (*block.body_)(*lane);
    } catch (...) {
      block.error_ = std::current_exception();
    }
    block.leave(*lane, EmulatedLane::State::kDone);
  }

  // Leaves a thread for the scheduler, and enters one. Rationale: after a thread's first turn they
  // jump, since swapcontext() makes a system call each time.
  void leave(EmulatedLane& lane, EmulatedLane::State state) {
    lane.state_ = state;
    if (_setjmp(lane.resume_point_) == 0) _longjmp(scheduler_, 1);
  }
  void enter(EmulatedLane& lane) {
    if (_setjmp(scheduler_) != 0) return;
    if (lane.has_begun_) _longjmp(lane.resume_point_, 1);
    lane.has_begun_ = true;
    setcontext(&lane.context_);
  }

  // Runs a warp until none of its threads can go on. False when none could from the start.
  bool run_warp(std::size_t w) {
    bool has_run = false;
    for (;;) {
      bool is_ready = false;
      bool at_warp = true;
      for (std::size_t i = w * 32; i < w * 32 + 32; ++i) {
        EmulatedLane& lane = lanes_[i];
        if (lane.state_ == EmulatedLane::State::kReady) {
          is_ready = true;
          enter(lane);
          if (error_) return true;
        }
      }
      has_run = has_run || is_ready;
      for (std::size_t i = w * 32; i < w * 32 + 32; ++i) {
        at_warp = at_warp && lanes_[i].state_ == EmulatedLane::State::kAtWarp &&
                  lanes_[i].exchanges_ == lanes_[w * 32].exchanges_;
      }
      if (!at_warp) return has_run;
      for (std::size_t i = w * 32; i < w * 32 + 32; ++i) {
        lanes_[i].state_ = EmulatedLane::State::kReady;
      }
    }
  }

  // Finishes one asynchronous work; false when there is none.
  bool finish_one() {
    if (begun_.empty()) return false;
    std::swap(begun_[random_() % begun_.size()], begun_.back());
    const std::function<void()> finish = std::move(begun_.back());
    begun_.pop_back();
    finish();
    return true;
  }

  bool all_are(EmulatedLane::State state) const {
    for (const EmulatedLane& lane : lanes_) {
      if (lane.state_ != state) return false;
    }
    return true;
  }

  void require_shared(const std::byte* address) const {
    if (address < shared_ || address + 16 > shared_ + shared_bytes_ ||
        reinterpret_cast<std::uintptr_t>(address) % 16 != 0) {
      throw std::logic_error("an access of 16 bytes outside of shared memory, or not aligned");
    }
  }

  std::byte* stacks_;
  std::int64_t block_;
  std::byte* shared_;
  int shared_bytes_;
  std::mt19937 random_;
  std::vector<Warp> warps_;
  std::vector<EmulatedLane> lanes_;
  std::vector<std::function<void()>> begun_;
  const std::function<void(EmulatedLane&)>* body_ = nullptr;
  std::exception_ptr error_;
  jmp_buf scheduler_;
};

inline std::int64_t EmulatedLane::block() const { return owner_->block_; }

inline void EmulatedLane::sync() { owner_->leave(*this, State::kAtBlock); }

inline void EmulatedLane::pause() { owner_->leave(*this, State::kReady); }

inline void EmulatedLane::wait_until(std::function<bool()> is_over) {
  if (is_over()) return;
  is_over_ = std::move(is_over);
  owner_->leave(*this, State::kWaiting);
}

inline void EmulatedLane::copy_async(std::byte* shared, const std::byte* global, bool is_valid) {
  owner_->require_shared(shared);
  if (reinterpret_cast<std::uintptr_t>(global) % 16 != 0) {
    throw std::logic_error("a copy from an address that is not aligned to 16 bytes");
  }
  std::memset(shared, 0xFF, 16);  // NaN in every dtype
  groups_.back().push_back({shared, is_valid ? global : nullptr});
}

// Rationale: two sets of slots are used in turn, since no thread can give a value for the exchange
// after the next before all have read the values of this one.
template <typename T>
const EmulatedLane::Slots& EmulatedLane::exchange(const T& value) {
  static_assert(sizeof(T) <= sizeof(Slot));
  Slots& slots = owner_->warps_[static_cast<std::size_t>(thread_ / 32)].slots[exchanges_ % 2];
  ++exchanges_;
  std::memcpy(slots[static_cast<std::size_t>(in_warp())].bytes, &value, sizeof(T));
  owner_->leave(*this, State::kAtWarp);
  return slots;
}

inline const EmulatedLane::Slots& EmulatedLane::exchange_row(const std::byte* row) {
  owner_->require_shared(row);
  return exchange(row);
}

// The blocks of a launch.
struct EmulatedGrid {
  std::int64_t blocks;
  int shared_bytes;  // of each block
  unsigned seed;     // of the order in which warps run
};

// Calls body(block, shared) for each block of a grid, one after the other. Shared memory is aligned
// to 1024 bytes and holds NaN.
template <typename Body>
void run_blocks(int threads, const EmulatedGrid& grid, const Body& body) {
  const auto bytes = static_cast<std::size_t>(grid.shared_bytes);
  const std::unique_ptr<std::byte, void (*)(void*)> shared(
      static_cast<std::byte*>(std::aligned_alloc(1024, (bytes + 1023) / 1024 * 1024)), std::free);
  const std::unique_ptr<std::byte[]> stacks(
      new std::byte[static_cast<std::size_t>(threads) * EmulatedBlock::kStackBytes]);
  for (std::int64_t block = 0; block < grid.blocks; ++block) {
    std::memset(shared.get(), 0xFF, bytes);
    EmulatedBlock emulated(threads, block, {shared.get(), grid.shared_bytes, stacks.get()},
                           grid.seed + static_cast<unsigned>(block));
    body(emulated, shared.get());
  }
}

// Runs a kernel class (TilesKernel, ...) over a grid.
template <typename Kernel, typename Arguments, typename Plan>
void run_emulated(const EmulatedGrid& grid, const Arguments& arguments, const Plan& plan) {
  run_blocks(Kernel::kThreads, grid, [&](EmulatedBlock& block, std::byte* shared) {
    block.run([&](EmulatedLane& lane) { Kernel(lane, arguments, plan, shared).run(); });
  });
}

}  // namespace maskerade::cuda
