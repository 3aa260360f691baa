#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace maskerade::detail {

// A matrix unit has eight tiles of 16 rows of 64 bytes and one instruction that counts: the sums of
// products of bfloat16, in float32. A left tile is bfloat16 [16 rows][32]; a right tile is
// [16 pairs][16 columns][2], pair p of a column being its elements 2p and 2p + 1; a sum is float32
// [16 rows][16 columns].
//
// For all units: sum[r][c] += s0 + s1, where s0 is the sum over p of left[r][2p] * right[p][c][0]
// and s1 of left[r][2p + 1] * right[p][c][1], each by fma, p ascending from 0; rounded to nearest
// even, denormals taken for 0 and made 0. (Intel, Instruction Set Extensions Programming Reference,
// TDPBF16PS.)
inline constexpr int kTileRows = 16;
inline constexpr int kTileRowBytes = 64;
inline constexpr std::int64_t kTileDepth = 32;    // products of an element of a sum
inline constexpr std::int64_t kTileColumns = 16;  // of a sum
inline constexpr std::int64_t kTileFloats = 256;  // memory of a tile, in float32
inline constexpr std::int64_t kTilePairs = kTileDepth / 2;

// What multiplies.
enum class MatrixUnit {
  kNone,      // vectors, not tiles
  kAmx,       // Intel AMX: amx_tile and amx_bf16
  kEmulated,  // the same in plain C++, for tests on machines that have none
};

// Whether this machine has AMX with bfloat16 and lets this process use it. The first call asks the
// system for it.
bool amx_is_usable();

// The unit of the instruction set in use, see use_instruction_set().
MatrixUnit matrix_unit_in_use();

// While an object lives, its thread may use the unit.
class MatrixSession {
 public:
  explicit MatrixSession(MatrixUnit unit);
  ~MatrixSession();
  MatrixSession(const MatrixSession&) = delete;
  MatrixSession& operator=(const MatrixSession&) = delete;

 private:
  MatrixUnit unit_;
};

// The machine's tiles, within a session.
class AmxUnit {
 public:
  template <int kTile>
  void clear() {
    asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  // stride_bytes: from one row of the tile to the next.
  template <int kTile>
  void load(const float* rows, std::int64_t stride_bytes) {
    asm volatile("tileloadd (%1,%2,1), %%tmm%c0"
                 :
                 : "i"(kTile), "r"(rows), "r"(stride_bytes)
                 : "memory");
  }
  template <int kTile>
  void store(float* rows, std::int64_t stride_bytes) {
    asm volatile("tilestored %%tmm%c0, (%1,%2,1)"
                 :
                 : "i"(kTile), "r"(rows), "r"(stride_bytes)
                 : "memory");
  }
  template <int kSum, int kLeft, int kRight>
  void multiply_add() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kLeft), "i"(kRight));
  }
};

class EmulatedUnit {
 public:
  template <int kTile>
  void clear() {
    tiles_[kTile].fill(0);
  }
  template <int kTile>
  void load(const float* rows, std::int64_t stride_bytes) {
    for (int r = 0; r < kTileRows; ++r) {
      std::memcpy(tiles_[kTile].data() + r * kTileColumns,
                  reinterpret_cast<const std::byte*>(rows) + r * stride_bytes, kTileRowBytes);
    }
  }
  template <int kTile>
  void store(float* rows, std::int64_t stride_bytes) {
    for (int r = 0; r < kTileRows; ++r) {
      std::memcpy(reinterpret_cast<std::byte*>(rows) + r * stride_bytes,
                  tiles_[kTile].data() + r * kTileColumns, kTileRowBytes);
    }
  }
  template <int kSum, int kLeft, int kRight>
  void multiply_add() {
    for (std::size_t r = 0; r < kTileRows; ++r) {
      for (std::size_t c = 0; c < kTileColumns; ++c) {
        float sums[2] = {0, 0};
        for (std::size_t p = 0; p < kTilePairs; ++p) {
          const std::uint32_t left = tiles_[kLeft][r * kTileColumns + p];
          const std::uint32_t right = tiles_[kRight][p * kTileColumns + c];
          sums[0] = flushed(std::fma(first_of(left), first_of(right), sums[0]));
          sums[1] = flushed(std::fma(second_of(left), second_of(right), sums[1]));
        }
        std::uint32_t& sum = tiles_[kSum][r * kTileColumns + c];
        sum = std::bit_cast<std::uint32_t>(
            flushed(flushed(std::bit_cast<float>(sum)) + flushed(sums[0] + sums[1])));
      }
    }
  }

 private:
  static float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? 0.0F : x; }
  static float first_of(std::uint32_t pair) { return flushed(std::bit_cast<float>(pair << 16)); }
  static float second_of(std::uint32_t pair) {
    return flushed(std::bit_cast<float>(pair & 0xFFFF0000U));
  }

  std::array<std::array<std::uint32_t, kTileFloats>, 8> tiles_{};
};

}  // namespace maskerade::detail
