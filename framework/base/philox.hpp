#pragma once

#include <array>
#include <cstdint>

namespace maskerade {

// What Philox 4x32-10 is made of, for those that compute many of its numbers at once.
struct Philox {
  static constexpr int kRounds = 10;
  static constexpr std::uint32_t kMultiplier0 = 0xD2511F53U;
  static constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57U;
  static constexpr std::uint32_t kWeyl0 = 0x9E3779B9U;
  static constexpr std::uint32_t kWeyl1 = 0xBB67AE85U;
};

// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four
// random 32-bit words from a 128-bit counter and a 64-bit key; no state, the same on every device.
std::array<std::uint32_t, 4> philox(const std::array<std::uint32_t, 4>& counter,
                                    const std::array<std::uint32_t, 2>& key) noexcept;

// What every random number of the project is a function of (design: randomness is counter-based).
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;  // the masker's place in the pipeline, or a tensor of a data source
  std::uint32_t layer = 0;
  std::uint32_t batch = 0;
  std::uint32_t head = 0;
  std::uint32_t purpose = 0;
};

// Random numbers for one RandomKey, addressed by (row, column): row is an absolute position, column
// a key or an element. [any thread]
class RandomField {
 public:
  explicit RandomField(const RandomKey& key) noexcept;

  // The numbers of one row: those of column c are philox({c, counter...}, key).
  struct Row {
    std::array<std::uint32_t, 3> counter;
    std::array<std::uint32_t, 2> key;

    std::array<std::uint32_t, 4> block(std::uint32_t column) const noexcept;
  };
  Row of_row(std::uint64_t row) const noexcept;

  // 32 random bits.
  std::uint32_t bits(std::uint64_t row, std::uint32_t column) const noexcept;
  // Uniform in [0, 1), a multiple of 2^-53.
  double uniform(std::uint64_t row, std::uint32_t column) const noexcept;
  // Standard normal, by Box and Muller in float64.
  double normal(std::uint64_t row, std::uint32_t column) const noexcept;

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint32_t salt_;
};

}  // namespace maskerade
