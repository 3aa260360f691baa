#pragma once

#include <cstddef>
#include <cstdint>

#include "attention/cuda/detail/attend_arguments.hpp"
#include "attention/cuda/detail/row_pair.hpp"

namespace maskerade::cuda {

// Rows of kDim 16-bit elements in shared memory, each in chunks of 16 bytes. Rationale: the chunks
// of a row are permuted, so that the eight rows of a matrix load lie in different banks. A view.
template <int kDim>
struct SharedRows {
  static constexpr int kChunks = kDim / 8;  // of 16 bytes
  static constexpr int kRowBytes = kDim * 2;

  std::byte* data;

  // Where chunk `index` of a row lies.
  MASKERADE_DEVICE std::byte* chunk(int row, int index) const {
    return data + row * kRowBytes + ((index ^ (row & 7)) * 16);
  }
};

// Attention of 16 rows by one warp, kKeys keys at a time: matrix products of 16 x 8 x 16 give the
// scores and sum the values, with the online softmax between them. Fragments are those of PTX ISA,
// mma.m16n8k16: with g = lane / 4 and t = lane % 4, a lane holds of a 16 x 8 result the columns 2 t
// and 2 t + 1 of rows g and g + 8. All lanes of the warp call every function. Lane is a thread of a
// block, a DeviceLane or an emulated one.
template <typename Lane, DType kType, int kDim, int kKeys>
class MatrixRows {
 public:
  static_assert(kDim % 16 == 0 && kKeys % 16 == 0, "products are 16 deep");
  static constexpr int kSteps = kDim / 16;

  // Reads rows first_row ... first_row + 15 of q from shared memory and begins with no keys.
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

  // One step of the online softmax over kKeys keys and values in shared memory. weigh(scores) turns
  // this lane's scores into logits, as RowPair::step() takes them.
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

  // Call it after the last step: adds up the lanes' sums of weights. Then state(half) is that of
  // row g + 8 half, and out(half, n, e) its column 8 n + 2 t + e.
  MASKERADE_DEVICE void finish(Lane& lane) { softmax_.finish(lane); }
  MASKERADE_DEVICE const RowState& state(int half) const { return softmax_.state(half); }
  MASKERADE_DEVICE float out(int half, int n, int e) const { return out_[n][2 * half + e]; }

  // Stores the 2 kDim / 8 components of row g + 8 half that this lane holds, and, in one lane, its
  // state.
  MASKERADE_DEVICE void store(Lane& lane, int half, const RowTarget& target) const {
    softmax_.store(lane, half, out_, target);
  }

 private:
  // scores = the products of the rows with keys[kKeys][kDim].
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
        // b[0], b[1]: keys 0-7, components 0-7 and 8-15; b[2], b[3]: keys 8-15.
        std::uint32_t b[4];
        lane.load_matrices(
            b, keys.chunk(n * 16 + (id & 7) + ((id >> 4) << 3), 2 * s + ((id >> 3) & 1)));
        lane.template multiply<kType>(scores[2 * n], q_[s], b[0], b[1]);
        lane.template multiply<kType>(scores[2 * n + 1], q_[s], b[2], b[3]);
      }
    }
  }

  // out_ += weights * values[kKeys][kDim].
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
        // b[0], b[1]: components 0-7, keys 0-7 and 8-15; b[2], b[3]: components 8-15.
        std::uint32_t b[4];
        lane.load_matrices_transposed(b, values.chunk(s * 16 + (id & 15), 2 * n + (id >> 4)));
        lane.template multiply<kType>(out_[2 * n], a, b[0], b[1]);
        lane.template multiply<kType>(out_[2 * n + 1], a, b[2], b[3]);
      }
    }
  }

  std::uint32_t q_[kSteps][4];  // left operands, 16 components each
  float out_[kDim / 8][4];      // sums of weighted values
  RowPair<Lane> softmax_;
};

// How some threads share the copying of rows.
struct RowCopy {
  int thread;   // the calling thread's number among them
  int threads;  // how many they are
  int rows;     // to be copied
  int valid;    // rows from this one on become zeros
};

// Starts the calling thread's share of a copy of rows of kDim 16-bit elements to shared memory.
// row_at(row): where row 0 <= row < copy.valid lies in global memory.
template <typename Lane, int kDim, typename RowAt>
MASKERADE_DEVICE void copy_rows(Lane& lane,
                                const RowCopy& copy,
                                const SharedRows<kDim>& to,
                                RowAt row_at) {
  MASKERADE_UNROLL
  for (int c = copy.thread; c < copy.rows * SharedRows<kDim>::kChunks; c += copy.threads) {
    const int row = c / SharedRows<kDim>::kChunks;
    const int chunk = c % SharedRows<kDim>::kChunks;
    const bool is_valid = row < copy.valid;
    lane.copy_async(to.chunk(row, chunk), row_at(is_valid ? row : 0) + chunk * 16, is_valid);
  }
}

}  // namespace maskerade::cuda
