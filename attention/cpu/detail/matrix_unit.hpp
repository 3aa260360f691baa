#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace maskerade::detail {

// A matrix unit has eight registers, called tiles here, of 16 rows of 64 bytes (not the tiles of a
// mask). One instruction is used: it multiplies a left tile, bfloat16 [16 rows][32], with a right
// tile, bfloat16 [16 pairs][16 columns][2], and adds to a tile of sums, float32
// [16 rows][16 columns]. Pair p of a column holds its elements 2p and 2p + 1.
//
// Every unit computes the same bits: sum[r][c] += s0 + s1, where s0 is the sum over p of
// left[r][2p] * right[p][c][0] and s1 of left[r][2p + 1] * right[p][c][1], each by fma with p
// ascending from 0; rounded to nearest even; denormal operands and results become 0. (Intel,
// Instruction Set Extensions Programming Reference, TDPBF16PS.)
inline constexpr int kMatrixTileRows = 16;
inline constexpr int kMatrixTileRowBytes = 64;
inline constexpr std::int64_t kMatrixTileDepth = 32;    // products that one sum adds up
inline constexpr std::int64_t kMatrixTileColumns = 16;  // of a right tile and of a tile of sums
inline constexpr std::int64_t kMatrixTileFloats = 256;  // a tile's memory, in units of 4 bytes
inline constexpr std::int64_t kMatrixTilePairs = kMatrixTileDepth / 2;

// The hardware that multiplies matrices.
enum class MatrixUnit {
  kNone,      // none: vector instructions multiply
  kAmx,       // Intel AMX: amx_tile and amx_bf16
  kEmulated,  // the same in plain C++, for tests on machines without one
};

// Whether this machine has AMX with bfloat16 and the system lets this process use it. The first
// call asks the system for permission; later calls give its answer. [any thread]
bool amx_is_usable();

// The matrix unit of the instruction set in use, see use_instruction_set().
MatrixUnit matrix_unit_in_use();

// The right of the current thread to use a matrix unit, from construction to destruction: sets the
// shape of the unit's tiles, and releases them at the end. Does nothing for kNone and kEmulated.
class MatrixSession {
 public:
  explicit MatrixSession(MatrixUnit unit);
  ~MatrixSession();
  MatrixSession(const MatrixSession&) = delete;
  MatrixSession& operator=(const MatrixSession&) = delete;

 private:
  MatrixUnit unit_;
};

// The machine's AMX tiles. Every call needs a MatrixSession of kAmx on its thread. Template
// arguments are numbers of tiles, 0 ... 7.
class AmxUnit {
 public:
  template <int kTile>
  void clear() {
    asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  // Copies 16 rows of 64 bytes from memory; stride_bytes: from one row in memory to the next.
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

// The same functions and the same bits without the hardware; holds its tiles itself.
class EmulatedUnit {
 public:
  template <int kTile>
  void clear() {
    tiles_[kTile].fill(0);
  }
  template <int kTile>
  void load(const float* rows, std::int64_t stride_bytes) {
    for (int r = 0; r < kMatrixTileRows; ++r) {
      std::memcpy(tiles_[kTile].data() + r * kMatrixTileColumns,
                  reinterpret_cast<const std::byte*>(rows) + r * stride_bytes, kMatrixTileRowBytes);
    }
  }
  template <int kTile>
  void store(float* rows, std::int64_t stride_bytes) {
    for (int r = 0; r < kMatrixTileRows; ++r) {
      std::memcpy(reinterpret_cast<std::byte*>(rows) + r * stride_bytes,
                  tiles_[kTile].data() + r * kMatrixTileColumns, kMatrixTileRowBytes);
    }
  }
  template <int kSum, int kLeft, int kRight>
  void multiply_add() {
    for (std::size_t r = 0; r < kMatrixTileRows; ++r) {
      for (std::size_t c = 0; c < kMatrixTileColumns; ++c) {
        float sums[2] = {0, 0};
        for (std::size_t p = 0; p < kMatrixTilePairs; ++p) {
          const std::uint32_t left = tiles_[kLeft][r * kMatrixTileColumns + p];
          const std::uint32_t right = tiles_[kRight][p * kMatrixTileColumns + c];
          sums[0] = flushed(std::fma(first_of(left), first_of(right), sums[0]));
          sums[1] = flushed(std::fma(second_of(left), second_of(right), sums[1]));
        }
        std::uint32_t& sum = tiles_[kSum][r * kMatrixTileColumns + c];
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

  std::array<std::array<std::uint32_t, kMatrixTileFloats>, 8> tiles_{};
};

}  // namespace maskerade::detail
