#include "framework/select/stream_scores.hpp"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/select/stream_scores.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h, which includes this file once for every instruction set.
#include "framework/select/matrix_tile-inl.hpp"
#include "framework/select/transpose-inl.hpp"
#include "framework/select/widen-inl.hpp"
#include "hwy/highway.h"

#ifndef MASKERADE_SELECT_STREAM_SCORES_ONCE
#define MASKERADE_SELECT_STREAM_SCORES_ONCE
namespace maskerade {
namespace {

// float32 queries, `stride` elements apart.
struct Queries {
  const float* first;
  std::int64_t stride;
};

// The keys to be scored, as they lie in memory: key i is at first + i * stride_bytes, or at
// first + list[i] * stride_bytes.
struct StreamedKeys {
  const std::byte* first;
  std::int64_t stride_bytes;
  const std::int32_t* list;  // [count]; null: all keys in their order
  std::int64_t count;
  std::int64_t dim;  // elements of a key
  DType dtype;

  const std::byte* operator()(std::int64_t i) const {
    return first + (list == nullptr ? i : list[i]) * stride_bytes;
  }
};

constexpr std::int64_t kLineBytes = 64;  // of the caches

}  // namespace
}  // namespace maskerade
#endif

HWY_BEFORE_NAMESPACE();
namespace maskerade {
namespace HWY_NAMESPACE {
namespace {

// How many components of the keys in work are widened at a time: so many fit the first-level cache.
constexpr std::int64_t kWidened = 128;

// Fetches the keys that come next into the cache, some lines at each step, while four components of
// the present keys are multiplied. It reads each key from its beginning to its end.
class Prefetch {
 public:
  Prefetch(const std::byte* const* keys, std::int64_t key_bytes, std::int64_t step_bytes)
      : keys_(keys), key_bytes_(key_bytes), lines_(static_cast<int>(step_bytes / kLineBytes)) {}

  HWY_INLINE void step() {
    for (int i = 0; i < lines_; ++i) {
      // Into the second-level cache, which can wait for more lines at a time than the first.
      __builtin_prefetch(*keys_ + at_, 0, 2);
      at_ += kLineBytes;
      if (at_ >= key_bytes_) {
        at_ = 0;
        ++keys_;
      }
    }
  }

 private:
  const std::byte* const* keys_;
  std::int64_t key_bytes_;
  int lines_;
  std::int64_t at_ = 0;
};

// Adds to lane l of sums[r][v] the product of query r and key v * kLanes + l over the components
// i < size, ascending. rows[] points to the float32 keys, at the first of these components.
template <int kRows, int kVectors>
HWY_INLINE void accumulate(const Queries& queries,
                           const float* const* rows,
                           std::int64_t size,
                           FloatVector (&sums)[kRows][kVectors],
                           Prefetch& prefetch) {
  const FloatTag d;
  std::int64_t i = 0;
  for (; i + 4 <= size; i += 4) {
    prefetch.step();
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      FloatVector columns[4];
      load_columns(rows + v * kLanes, i, columns);
#pragma GCC unroll 4
      for (int c = 0; c < 4; ++c) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const FloatVector query = hn::Set(d, queries.first[r * queries.stride + i + c]);
          sums[r][v] = multiply_add<true>(query, columns[c], sums[r][v]);
        }
      }
    }
  }
  for (; i < size; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      HWY_ALIGN float column[kLanes];
      for (int j = 0; j < kLanes; ++j) column[j] = rows[v * kLanes + j][i];
      for (int r = 0; r < kRows; ++r) {
        const FloatVector query = hn::Set(d, queries.first[r * queries.stride + i]);
        sums[r][v] = multiply_add<true>(query, hn::Load(d, column), sums[r][v]);
      }
    }
  }
}

// stream_scores() for kRows queries.
template <int kRows>
HWY_NOINLINE void stream_rows(const Queries& queries,
                              const StreamedKeys& keys,
                              float* scores,
                              std::int64_t score_stride) {
  // With few sums per vector of keys, two vectors are needed to hide the latency of the additions.
  constexpr int kVectors = kRows <= 4 || kLanes >= 16 ? 2 : 1;
  constexpr int kKeys = kVectors * kLanes;
  const FloatTag d;
  const auto element_bytes = static_cast<std::int64_t>(size_of(keys.dtype));
  HWY_ALIGN float widened[kKeys * kWidened];
  const std::byte* next[kKeys];
  const auto find = [&](std::int64_t first) HWY_ATTR {
    for (int j = 0; j < kKeys; ++j) next[j] = keys(std::min(first + j, keys.count - 1));
  };
  find(0);
  for (std::int64_t first = 0; first < keys.count; first += kKeys) {
    const std::byte* rows[kKeys];
    std::copy_n(next, kKeys, rows);
    find(first + kKeys);
    Prefetch prefetch(next, keys.dim * element_bytes, kKeys * 4 * element_bytes);
    FloatVector sums[kRows][kVectors];
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(d);
    }
    if (keys.dtype == DType::kFloat32) {
      const float* floats[kKeys];
      for (int j = 0; j < kKeys; ++j) floats[j] = reinterpret_cast<const float*>(rows[j]);
      accumulate<kRows, kVectors>(queries, floats, keys.dim, sums, prefetch);
    } else {
      const float* floats[kKeys];
      for (int j = 0; j < kKeys; ++j) floats[j] = widened + j * kWidened;
      for (std::int64_t begin = 0; begin < keys.dim; begin += kWidened) {
        const std::int64_t size = std::min(kWidened, keys.dim - begin);
        for (int j = 0; j < kKeys; ++j) {
          widen(keys.dtype, rows[j] + begin * element_bytes, size, widened + j * kWidened);
        }
        accumulate<kRows, kVectors>({queries.first + begin, queries.stride}, floats, size, sums,
                                    prefetch);
      }
    }
    const std::int64_t count = std::min<std::int64_t>(kKeys, keys.count - first);
    for (int r = 0; r < kRows; ++r) {
      float* target = scores + r * score_stride + first;
      if (count == kKeys) {
        for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[r][v], d, target + v * kLanes);
      } else {
        HWY_ALIGN float last[kKeys];
        for (int v = 0; v < kVectors; ++v) hn::Store(sums[r][v], d, last + v * kLanes);
        std::copy_n(last, count, target);
      }
    }
  }
}

void stream(const Queries& queries,
            int rows,
            const StreamedKeys& keys,
            float* scores,
            std::int64_t score_stride) {
  switch (rows) {
    case 1:
      return stream_rows<1>(queries, keys, scores, score_stride);
    case 2:
      return stream_rows<2>(queries, keys, scores, score_stride);
    case 3:
      return stream_rows<3>(queries, keys, scores, score_stride);
    case 4:
      return stream_rows<4>(queries, keys, scores, score_stride);
    case 5:
      return stream_rows<5>(queries, keys, scores, score_stride);
    case 6:
      return stream_rows<6>(queries, keys, scores, score_stride);
    case 7:
      return stream_rows<7>(queries, keys, scores, score_stride);
    default:
      return stream_rows<8>(queries, keys, scores, score_stride);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace maskerade
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskerade {

HWY_EXPORT(stream);

void stream_scores(const float* queries,
                   std::int64_t query_stride,
                   int rows,
                   const TensorView& keys,
                   std::int64_t b,
                   std::int64_t kv_head,
                   std::int64_t first_key,
                   std::int64_t count,
                   float* scores,
                   std::int64_t score_stride) {
  if (count <= 0) return;
  const auto element_bytes = static_cast<std::int64_t>(size_of(keys.dtype));
  HWY_DYNAMIC_DISPATCH(stream)
  ({queries, query_stride}, rows,
   {static_cast<const std::byte*>(keys.row(b, kv_head, first_key)), keys.row_stride * element_bytes,
    nullptr, count, keys.dim, keys.dtype},
   scores, score_stride);
}

void stream_scores(const float* queries,
                   std::int64_t query_stride,
                   int rows,
                   const TensorView& keys,
                   std::int64_t b,
                   std::int64_t kv_head,
                   std::span<const std::int32_t> listed,
                   float* scores,
                   std::int64_t score_stride) {
  if (listed.empty()) return;
  const auto element_bytes = static_cast<std::int64_t>(size_of(keys.dtype));
  HWY_DYNAMIC_DISPATCH(stream)
  ({queries, query_stride}, rows,
   {static_cast<const std::byte*>(keys.row(b, kv_head, 0)), keys.row_stride * element_bytes,
    listed.data(), static_cast<std::int64_t>(listed.size()), keys.dim, keys.dtype},
   scores, score_stride);
}

}  // namespace maskerade
#endif  // HWY_ONCE
