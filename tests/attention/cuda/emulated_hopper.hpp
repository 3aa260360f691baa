#pragma once

#include <map>
#include <utility>

#include "attention/cuda/detail/tensor_tiles.hpp"
#include "attention/cuda/detail/warpgroup_tiles_kernel.hpp"
#include "tests/attention/cuda/emulated_block.hpp"

// What sm_90a adds to an emulated block: products of warpgroups, the copy engine and barriers in
// shared memory, written after the PTX ISA (wgmma.mma_async and its matrix descriptors,
// cp.async.bulk.tensor with its swizzling modes, mbarrier). Everything asynchronous happens at the
// latest moment that the hardware may take: a box arrives when no thread can go on without it, and
// a product is computed from what shared memory then holds when its group is waited for. Until then
// targets hold NaN. Misuse throws std::logic_error.
namespace maskerade::cuda {

// The state that the threads of a block share.
class EmulatedHopper {
 public:
  // The address at which shared memory begins for kernels. Rationale: it is not 0 and not aligned
  // to the swizzle's 1024 bytes, so that a kernel which relies on either fails.
  static constexpr std::uint32_t kFirstAddress = 0x400 + 0x80;

  EmulatedHopper(EmulatedBlock& block, std::byte* shared, int shared_bytes, int threads)
      : block_(block),
        shared_(shared),
        shared_bytes_(shared_bytes),
        warps_(size_of(threads, 32)),
        groups_(size_of(threads, 128)) {}

  // Addresses of shared memory, as kernels see them, and pointers. at() throws std::logic_error
  // when the bytes are not all in shared memory.
  std::uint32_t address(const std::byte* shared) const {
    return static_cast<std::uint32_t>(shared - shared_) + kFirstAddress;
  }
  std::byte* at(std::uint32_t address, int bytes) const {
    if (address < kFirstAddress || address + static_cast<std::uint32_t>(bytes) >
                                       kFirstAddress + static_cast<std::uint32_t>(shared_bytes_)) {
      throw std::logic_error("an access outside of shared memory");
    }
    return shared_ + (address - kFirstAddress);
  }
  // The 128-byte swizzle: bits 4 ... 6 of an address are changed by exclusive or with bits 7 ... 9.
  static std::uint32_t swizzled(std::uint32_t address) {
    return address ^ ((address >> 7 & 7) << 4);
  }

  // A barrier, see HopperLane::init_barrier().
  struct Barrier {
    int arrivals;            // that a phase needs
    int missing;             // arrivals that the current phase still needs
    std::int64_t bytes = 0;  // expected minus arrived
    std::int64_t phase = 0;  // the current one

    // Ends the phase if all has arrived.
    void check() {
      if (missing < 0) throw std::logic_error("a barrier has more arrivals than it expects");
      if (missing > 0 || bytes != 0) return;
      ++phase;
      missing = arrivals;
    }
  };
  Barrier& barrier(const std::uint64_t* at) {
    const auto found = barriers_.find(at);
    if (found == barriers_.end()) throw std::logic_error("a barrier that was not initialised");
    return found->second;
  }
  void init_barrier(const std::uint64_t* at, int arrivals) {
    if (!barriers_.emplace(at, Barrier{arrivals, arrivals}).second) {
      throw std::logic_error("a barrier is initialised twice");
    }
  }

  // See HopperLane::copy_box(): rows of 128 bytes, swizzled; zeros where the tensor ends.
  void copy_box(std::byte* to,
                const TensorTiles& from,
                const BoxOrigin& origin,
                const std::uint64_t* barrier_at) {
    const std::uint32_t target = address(to);
    if (target % 1024 != 0) throw std::logic_error("a box that is not aligned to its swizzle");
    std::memset(at(target, TensorTiles::kBoxBytes), 0xFF, TensorTiles::kBoxBytes);
    block_.begin([=, this] {
      for (int row = 0; row < TensorTiles::kBoxKeys; ++row) {
        for (int column = 0; column < TensorTiles::kBoxDim; ++column) {
          const std::int64_t index[3] = {origin.dim + column, origin.key + row, origin.slice};
          std::uint16_t element = 0;
          bool is_there = true;
          for (int d = 0; d < 3; ++d) {
            is_there =
                is_there && index[d] >= 0 && index[d] < static_cast<std::int64_t>(from.dims[d]);
          }
          if (is_there) {
            std::memcpy(&element,
                        static_cast<const std::byte*>(from.data) + index[0] * 2 +
                            index[1] * static_cast<std::int64_t>(from.strides[0]) +
                            index[2] * static_cast<std::int64_t>(from.strides[1]),
                        2);
          }
          const auto offset = static_cast<std::uint32_t>(row * 128 + column * 2);
          std::memcpy(at(swizzled(target + offset), 2), &element, 2);
        }
      }
      Barrier& arrived = barrier(barrier_at);
      arrived.bytes -= TensorTiles::kBoxBytes;
      arrived.check();
    });
  }

  // A right operand [columns][16] in shared memory.
  struct RightOperand {
    DType type;
    std::uint64_t descriptor;  // PTX ISA, matrix descriptors
    bool is_transposed;        // N-major
    int columns;
  };
  // Its values, as a warp reads them for its product number `number`. They are read once for all
  // threads of the warp.
  const std::vector<float>& right_operand(const RightOperand& operand, int warp, int number) {
    const auto [type, descriptor, is_transposed, columns] = operand;
    OperandValues& read = warps_[static_cast<std::size_t>(warp)];
    if (read.number == number) return read.values;
    read.number = number;
    const auto field = [bits = operand.descriptor](int bit) {
      return static_cast<std::uint32_t>(bits >> bit & 0x3FFF) << 4;
    };
    if (descriptor >> 62 != 1 || (descriptor >> 49 & 7) != 0) {
      throw std::logic_error("a matrix descriptor that is not of the 128-byte swizzle");
    }
    std::vector<std::uint16_t> elements;
    elements.reserve(static_cast<std::size_t>(columns) * 16);
    for (int n = 0; n < columns; ++n) {
      for (int k = 0; k < 16; ++k) {
        // Memory is made of atoms of 8 rows of 64 elements. The elements of a row follow k when the
        // operand is K-major, and n when it is N-major.
        const auto un = static_cast<std::uint32_t>(n);
        const auto uk = static_cast<std::uint32_t>(k);
        const std::uint32_t offset =
            is_transposed ? un / 64 * field(16) + uk / 8 * field(32) + uk % 8 * 128 + un % 64 * 2
                          : un / 8 * field(32) + un % 8 * 128 + uk * 2;
        std::uint16_t element;
        std::memcpy(&element, at(swizzled(field(0) + offset), 2), 2);
        elements.push_back(element);
      }
    }
    read.values.resize(elements.size());
    convert_to_float(type, elements.data(), elements.size(), read.values.data());
    return read.values;
  }

  // Throws std::logic_error unless all four warps of a warpgroup start the same product, by its
  // descriptor, as their product number `number`.
  void check_product(int group, int number, std::uint64_t descriptor) {
    auto& begun = groups_[static_cast<std::size_t>(group)];
    const auto found = begun.emplace(number, descriptor).first;
    if (found->second != descriptor) {
      throw std::logic_error("warps of a warpgroup that begin different products");
    }
  }

 private:
  struct OperandValues {
    int number = -1;  // of the product
    std::vector<float> values;
  };
  static std::size_t size_of(int threads, int of) { return static_cast<std::size_t>(threads / of); }

  EmulatedBlock& block_;
  std::byte* shared_;
  int shared_bytes_;
  std::map<const std::uint64_t*, Barrier> barriers_;
  std::vector<OperandValues> warps_;                  // each warp's last right operand
  std::vector<std::map<int, std::uint64_t>> groups_;  // [warpgroups] descriptor of each product
};

// A thread of an emulated block of sm_90a. Its functions do what those of HopperLane do, see there.
class EmulatedHopperLane {
 public:
  using TensorMap = TensorTiles;

  EmulatedHopperLane(EmulatedLane& lane, EmulatedHopper& block) : lane_(lane), block_(block) {}

  int thread() const { return lane_.thread(); }
  int in_warp() const { return lane_.in_warp(); }
  std::int64_t block() const { return lane_.block(); }
  void sync() { lane_.sync(); }
  void sync_warp() { lane_.sync_warp(); }
  bool all_in_warp(bool value) { return lane_.all_in_warp(value); }
  float shuffle_xor(float value, int distance) { return lane_.shuffle_xor(value, distance); }
  template <typename T>
  T shuffle(T value, int source) {
    return lane_.shuffle(value, source);
  }
  float exp2(float x) const { return lane_.exp2(x); }
  template <DType kType>
  std::uint32_t pack(float first, float second) const {
    return lane_.pack<kType>(first, second);
  }
  void store_pair(float* to, float first, float second) const {
    lane_.store_pair(to, first, second);
  }

  std::uint32_t shared_address(const std::byte* shared) const { return block_.address(shared); }
  template <int kRegisters>
  void give_registers() const {}
  template <int kRegisters>
  void take_registers() const {}

  void init_barrier(std::uint64_t* barrier, int arrivals) {
    block_.init_barrier(barrier, arrivals);
  }
  void publish_barriers() const {}
  void arrive(std::uint64_t* barrier) { arrive_expecting(barrier, 0); }
  void arrive_expecting(std::uint64_t* barrier, int bytes) {
    EmulatedHopper::Barrier& at = block_.barrier(barrier);
    at.bytes += bytes;
    --at.missing;
    at.check();
    lane_.pause();
  }
  // As on the hardware, a parity tells only the current phase from the one before.
  void wait(std::uint64_t* barrier, int parity) {
    EmulatedHopper::Barrier& at = block_.barrier(barrier);
    lane_.wait_until([&at, parity] { return at.phase % 2 != parity; });
  }
  void copy_box(std::byte* shared,
                const TensorMap& map,
                const BoxOrigin& origin,
                std::uint64_t* barrier) {
    block_.copy_box(shared, map, origin, barrier);
  }
  void prefetch(const TensorMap&) const {}
  std::uint32_t load_word(const std::byte* global) const {
    if (reinterpret_cast<std::uintptr_t>(global) % 4 != 0) {
      throw std::logic_error("load_word: address");
    }
    std::uint32_t word;
    std::memcpy(&word, global, 4);
    return word;
  }

  void fence_products() { is_fenced_ = true; }
  void commit_products() { groups_.emplace_back(); }
  template <int kPending>
  void wait_products() {
    lane_.pause();
    // The last group is still open: its products have not been committed.
    while (groups_.size() > kPending + 1) {
      for (const Product& product : groups_.front()) product.compute();
      groups_.erase(groups_.begin());
    }
    is_fenced_ = false;
  }
  template <typename Registers>
  void settle(Registers&) const {}

  // PTX ISA, register fragments of wgmma.m64nNk16. In lane l of warp w, with group = l / 4 and
  // in_group = l % 4, a_i lies in row 16 w + group (i < 2 or 4 <= i < 6) or 8 more, and column
  // 2 in_group + (i & 1), plus 8 for i >= 4; d_i in row 16 w + group (i % 4 < 2) or 8 more, and
  // column 8 (i / 4) + 2 in_group + (i & 1).
  template <DType kType, bool kIsTransposed, int kGroups>
  void multiply_group(float (&c)[kGroups][4],
                      const std::uint32_t (&a)[4],
                      std::uint64_t b,
                      bool is_sum) {
    if (!is_fenced_) throw std::logic_error("a product without a fence after the last wait");
    const int warp = thread() / 32;
    const int number = products_++;
    block_.check_product(warp / 4, number, b);
    std::array<float, 8> widened;
    convert_to_float(kType, a, 8, widened.data());
    const EmulatedLane::Slots& all = lane_.exchange(widened);
    std::array<std::array<float, 16>, 2> rows;  // this thread's two rows of a
    for (int half = 0; half < 2; ++half) {
      for (int k = 0; k < 16; ++k) {
        const auto values =
            EmulatedLane::as<std::array<float, 8>>(all, in_warp() / 4 * 4 + k % 8 / 2);
        rows[static_cast<std::size_t>(half)][static_cast<std::size_t>(k)] =
            values[static_cast<std::size_t>((k & 1) + 2 * half + (k < 8 ? 0 : 4))];
      }
    }
    // When an earlier product with the same target is under way, this one adds to that one's
    // result.
    const bool is_first = !is_under_way(&c[0][0]);
    std::vector<float> before(&c[0][0], &c[0][0] + 4 * kGroups);
    if (is_first && !is_sum) std::fill(before.begin(), before.end(), 0.0F);
    std::fill(&c[0][0], &c[0][0] + 4 * kGroups, std::nanf(""));
    const std::array<std::uint32_t, 4> operand = {a[0], a[1], a[2], a[3]};
    const std::uint32_t* const registers = a;
    float* const target = &c[0][0];
    groups_.back().push_back(
        {target, [=, this] {
           if (!std::equal(operand.begin(), operand.end(), registers)) {
             throw std::logic_error("a left operand that changed while a product was under way");
           }
           const std::vector<float>& right =
               block_.right_operand({kType, b, kIsTransposed, 8 * kGroups}, warp, number);
           for (int i = 0; i < 4 * kGroups; ++i) {
             const int column = 8 * (i / 4) + 2 * (in_warp() % 4) + (i & 1);
             float sum = is_first ? before[static_cast<std::size_t>(i)] : is_sum ? target[i] : 0.0F;
             for (int k = 0; k < 16; ++k) {
               sum += rows[i % 4 / 2][static_cast<std::size_t>(k)] *
                      right[static_cast<std::size_t>(column * 16 + k)];
             }
             target[i] = sum;
           }
         }});
  }

  // Whether every product was waited for.
  bool is_idle() const { return groups_.size() == 1 && groups_.front().empty(); }

 private:
  struct Product {
    const float* target;  // element 0 of the thread's sums
    std::function<void()> compute;
  };
  bool is_under_way(const float* target) const {
    for (const auto& group : groups_) {
      for (const Product& product : group) {
        if (product.target == target) return true;
      }
    }
    return false;
  }

  EmulatedLane& lane_;
  EmulatedHopper& block_;
  std::vector<std::vector<Product>> groups_{1};  // products under way
  int products_ = 0;                             // that were started
  bool is_fenced_ = false;                       // since the last wait
};

// The same as run_emulated() for kernel classes that need sm_90a.
template <typename Kernel, typename Arguments, typename Plan>
void run_emulated_hopper(const EmulatedGrid& grid, const Arguments& arguments, const Plan& plan) {
  run_blocks(Kernel::kThreads, grid, [&](EmulatedBlock& block, std::byte* shared) {
    EmulatedHopper hopper(block, shared, grid.shared_bytes, Kernel::kThreads);
    block.run([&](EmulatedLane& lane) {
      EmulatedHopperLane hopper_lane(lane, hopper);
      Kernel(hopper_lane, arguments, plan, shared).run();
      if (!hopper_lane.is_idle()) {
        throw std::logic_error("a thread ended before its products were waited for");
      }
    });
  });
}

}  // namespace maskerade::cuda
