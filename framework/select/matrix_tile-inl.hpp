// Code that Highway compiles once for every instruction set: include it only in sources that are
// compiled so. Rationale: not #pragma once, because each instruction set must include the file
// once.
#if defined(MASKERADE_SELECT_MATRIX_TILE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MASKERADE_SELECT_MATRIX_TILE_INL
#undef MASKERADE_SELECT_MATRIX_TILE_INL
#else
#define MASKERADE_SELECT_MATRIX_TILE_INL
#endif

#include <cmath>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;
inline constexpr int kLanes = static_cast<int>(hn::MaxLanes(FloatTag()));

// A matrix is multiplied in micro tiles of kMicroRows rows and kMicroVectors vectors of columns,
// whose sums stay in registers: they take 24 of 32 registers with AVX-512, 12 of 16 with AVX2.
inline constexpr int kMicroRows = 6;
inline constexpr int kMicroVectors = kLanes >= 16 ? 4 : 2;

// a * b + c. If kExact, it is rounded once on every instruction set; otherwise as is fastest.
template <bool kExact>
HWY_INLINE FloatVector multiply_add(FloatVector a, FloatVector b, FloatVector c) {
#if HWY_NATIVE_FMA
  return hn::MulAdd(a, b, c);
#else
  if constexpr (!kExact) return hn::MulAdd(a, b, c);
  const FloatTag d;
  HWY_ALIGN float x[kLanes];
  HWY_ALIGN float y[kLanes];
  HWY_ALIGN float z[kLanes];
  hn::Store(a, d, x);
  hn::Store(b, d, y);
  hn::Store(c, d, z);
  for (int i = 0; i < kLanes; ++i) z[i] = std::fma(x[i], y[i], z[i]);
  return hn::Load(d, z);
#endif
}

// Gives row i of a matrix whose rows lie `stride` elements apart.
struct StridedRows {
  const float* first;
  std::int64_t stride;
  HWY_INLINE const float* operator()(std::int64_t i) const { return first + i * stride; }
};

// Gives row list[i] of a matrix whose rows lie `stride` elements apart.
struct ListedRows {
  const float* first;
  std::int64_t stride;
  const std::int32_t* list;
  HWY_INLINE const float* operator()(std::int64_t i) const { return first + list[i] * stride; }
};

// Stores products: target[r][c] = product. It is one of the `Finish` types of the functions below,
// which say what is done with products: row(r, first_vector) gives an object for row r, and that
// object is called with each vector of sums and its number from first_vector on.
struct StoreProducts {
  float* target;
  std::int64_t stride;

  struct Row {
    float* at;
    HWY_INLINE void operator()(int vector, FloatVector sum) const {
      hn::StoreU(sum, FloatTag(), at + vector * kLanes);
    }
  };
  HWY_INLINE Row row(int row, int first_vector) const {
    return {target + row * stride + std::int64_t{first_vector} * kLanes};
  }
};

// Adds products to what is there, after scaling it: target[r][c] = target[r][c] * scale[r] +
// product.
struct AddToScaled {
  float* target;
  std::int64_t stride;
  const float* scale;

  struct Row {
    float* at;
    FloatVector scale;
    HWY_INLINE void operator()(int vector, FloatVector sum) const {
      const FloatTag d;
      float* to = at + vector * kLanes;
      hn::StoreU(hn::MulAdd(hn::LoadU(d, to), scale, sum), d, to);
    }
  };
  HWY_INLINE Row row(int row, int first_vector) const {
    return {target + row * stride + std::int64_t{first_vector} * kLanes,
            hn::Set(FloatTag(), scale[row])};
  }
};

// Multiplies kRows rows of a, [kRows][depth], by kVectors vectors of columns of b, whose row i is
// b(i), from vector first_vector on. Each element is one sum over i ascending from 0. The sums of
// row r go to finish.row(first_row + r, first_vector).
template <int kRows, int kVectors, bool kExact, class Rows, class Finish>
HWY_NOINLINE void multiply_block(const float* HWY_RESTRICT a,
                                 std::int64_t a_stride,
                                 const Rows& b,
                                 std::int64_t depth,
                                 const Finish& finish,
                                 int first_row,
                                 int first_vector) {
  const FloatTag d;
  const std::int64_t offset = static_cast<std::int64_t>(first_vector) * kLanes;
  FloatVector sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  for (std::int64_t i = 0; i < depth; ++i) {
    const float* HWY_RESTRICT row = b(i) + offset;
    FloatVector right[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, row + std::int64_t{v} * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const FloatVector left = hn::Set(d, a[r * a_stride + i]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = multiply_add<kExact>(left, right[v], sum[r][v]);
      }
    }
  }
  // Rationale: stores cannot change a copy, so the compiler keeps its members in registers.
  const Finish last = finish;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const auto row = last.row(first_row + r, first_vector);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) row(v, sum[r][v]);
  }
}

// Like multiply_block(), but for any number of rows of a.
template <int kVectors, bool kExact, class Rows, class Finish>
HWY_INLINE void multiply_columns(const float* a,
                                 std::int64_t a_stride,
                                 int rows,
                                 const Rows& b,
                                 std::int64_t depth,
                                 const Finish& finish,
                                 int first_vector) {
  int r = 0;
  for (; r + kMicroRows <= rows; r += kMicroRows) {
    multiply_block<kMicroRows, kVectors, kExact>(a + r * a_stride, a_stride, b, depth, finish, r,
                                                 first_vector);
  }
  const float* rest = a + r * a_stride;
  switch (rows - r) {
    case 1:
      multiply_block<1, kVectors, kExact>(rest, a_stride, b, depth, finish, r, first_vector);
      break;
    case 2:
      multiply_block<2, kVectors, kExact>(rest, a_stride, b, depth, finish, r, first_vector);
      break;
    case 3:
      multiply_block<3, kVectors, kExact>(rest, a_stride, b, depth, finish, r, first_vector);
      break;
    case 4:
      multiply_block<4, kVectors, kExact>(rest, a_stride, b, depth, finish, r, first_vector);
      break;
    case 5:
      multiply_block<5, kVectors, kExact>(rest, a_stride, b, depth, finish, r, first_vector);
      break;
    default:
      break;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#endif  // MASKERADE_SELECT_MATRIX_TILE_INL
