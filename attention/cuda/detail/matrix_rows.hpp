#pragma once

#include <cstddef>
#include <cstdint>

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/row_pair.hpp"

namespace maskerade::cuda {

// Rows of kDim 16-bit elements in shared memory, 16-byte chunks permuted within a row so that the
// eight rows of a matrix load lie in different banks.
template <int kDim>
struct SharedRows {
  static constexpr int kChunks = kDim / 8;  // of 16 bytes
  static constexpr int kRowBytes = kDim * 2;

  std::byte* data;

  MASKERADE_DEVICE std::byte* chunk(int row, int index) const {
    return data + row * kRowBytes + ((index ^ (row & 7)) * 16);
  }
};

// The attention of 16 rows by one warp, on kKeys keys at a time: scores and values by matrix
// products of 16 x 8 x 16, an online softmax between them. Fragments are those of PTX mma.m16n8k16:
// with g = lane / 4 and t = lane % 4, a lane holds of a 16 x 8 result the columns 2 t, 2 t + 1 of
// rows g and g + 8. Lane is a thread of a block, real or emulated.
template <typename Lane, DType kType, int kDim, int kKeys>
class MatrixRows {
 public:
  static_assert(kDim % 16 == 0 && kKeys % 16 == 0, "products are 16 deep");
  static constexpr int kSteps = kDim / 16;

  // Reads 16 rows of q; the other state is that of no keys.
  MASKERADE_DEVICE void start(Lane& lane, const SharedRows<kDim>& queries, int first_row) {
    const int id = lane.in_warp();
    MASKERADE_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      lane.load_matrices(q_[s], queries.chunk(first_row + (id & 15), 2 * s + (id >> 4)));
    }
    MASKERADE_UNROLL
    for (int n = 0; n < kDim / 8; ++n) {
      MASKERADE_UNROLL
      for (int e = 0; e < 4; ++e) out_[n][e] = 0;
    }
  }

  // One step over kKeys keys in shared memory. weigh(scores) makes logits of scores, see
  // RowPair::step.
  template <typename Weigh>
  MASKERADE_DEVICE void step(Lane& lane,
                             const SharedRows<kDim>& keys,
                             const SharedRows<kDim>& values,
                             const Weigh& weigh) {
    float scores[kKeys / 8][4];
    multiply_keys(lane, keys, scores);
    float factors[2];
    weigh(scores);
    softmax_.step(lane, scores, factors);
    scale_rows(out_, factors);
    multiply_values(lane, values, scores);
  }

  // After the last step: the sums of whole rows. Then out(half, n, e), columns 8 n + 2 t + e, and
  // state(half) are those of row g + 8 half.
  MASKERADE_DEVICE void finish(Lane& lane) { softmax_.finish(lane); }
  MASKERADE_DEVICE const RowState& state(int half) const { return softmax_.state(half); }
  MASKERADE_DEVICE float out(int half, int n, int e) const { return out_[n][2 * half + e]; }

  // Stores a row's 2 kDim / 8 components that this lane holds.
  MASKERADE_DEVICE void store(Lane& lane, int half, const RowTarget& target) const {
    softmax_.store(lane, half, out_, target);
  }

 private:
  MASKERADE_DEVICE void multiply_keys(Lane& lane,
                                      const SharedRows<kDim>& keys,
                                      float (&scores)[kKeys / 8][4]) const {
    const int id = lane.in_warp();
    MASKERADE_UNROLL
    for (int n = 0; n < kKeys / 8; ++n) {
      MASKERADE_UNROLL
      for (int e = 0; e < 4; ++e) scores[n][e] = 0;
    }
    MASKERADE_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      MASKERADE_UNROLL
      for (int n = 0; n < kKeys / 16; ++n) {
        // Keys 0-7 and 8-15, components 0-7 and 8-15 of each.
        std::uint32_t b[4];
        lane.load_matrices(
            b, keys.chunk(n * 16 + (id & 7) + ((id >> 4) << 3), 2 * s + ((id >> 3) & 1)));
        lane.template multiply<kType>(scores[2 * n], q_[s], b[0], b[1]);
        lane.template multiply<kType>(scores[2 * n + 1], q_[s], b[2], b[3]);
      }
    }
  }

  MASKERADE_DEVICE void multiply_values(Lane& lane,
                                        const SharedRows<kDim>& values,
                                        const float (&weights)[kKeys / 8][4]) {
    const int id = lane.in_warp();
    MASKERADE_UNROLL
    for (int s = 0; s < kKeys / 16; ++s) {
      std::uint32_t a[4];
      pack_weights<kType>(lane, weights, s, a);
      MASKERADE_UNROLL
      for (int n = 0; n < kDim / 16; ++n) {
        // Keys 0-7 and 8-15 of components 0-7, then of 8-15.
        std::uint32_t b[4];
        lane.load_matrices_transposed(b, values.chunk(s * 16 + (id & 15), 2 * n + (id >> 4)));
        lane.template multiply<kType>(out_[2 * n], a, b[0], b[1]);
        lane.template multiply<kType>(out_[2 * n + 1], a, b[2], b[3]);
      }
    }
  }

  std::uint32_t q_[kSteps][4];
  float out_[kDim / 8][4];
  RowPair<Lane> softmax_;
};

// Starts the copy of `count` rows of kDim 16-bit elements to shared memory by `lanes` threads, of
// which this is number `id`; rows from `valid` on become zero. row_at(row) is a row in global
// memory.
template <typename Lane, int kDim, typename RowAt>
MASKERADE_DEVICE void copy_rows(
    Lane& lane, int id, int lanes, int count, int valid, const SharedRows<kDim>& to, RowAt row_at) {
  MASKERADE_UNROLL
  for (int c = id; c < count * SharedRows<kDim>::kChunks; c += lanes) {
    const int row = c / SharedRows<kDim>::kChunks;
    const int chunk = c % SharedRows<kDim>::kChunks;
    const bool is_valid = row < valid;
    lane.copy_async(to.chunk(row, chunk), row_at(is_valid ? row : 0) + chunk * 16, is_valid);
  }
}

}  // namespace maskerade::cuda
