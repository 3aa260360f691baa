#pragma once

#include <cmath>

#include "attention/cuda/detail/attend_arguments.hpp"

namespace maskerade::cuda {

// The online softmax of the two rows that a thread has of a matrix product's result: with
// g = lane / 4 and t = lane % 4, the columns 8 n + 2 t, 8 n + 2 t + 1 of row g are elements 0, 1 of
// [n], and those of row g + 8 are elements 2, 3. Four threads have a row.
template <typename Lane>
class RowPair {
 public:
  // Logits in units of ln 2, kNoKeys where a row does not attend to a column, become weights.
  // factors: what the sums over earlier columns have to be multiplied with.
  template <int kGroups>
  MASKERADE_DEVICE void step(Lane& lane, float (&scores)[kGroups][4], float (&factors)[2]) {
    float tops[2] = {state_[0].top, state_[1].top};
    MASKERADE_UNROLL
    for (int n = 0; n < kGroups; ++n) {
      MASKERADE_UNROLL
      for (int e = 0; e < 4; ++e) tops[e >> 1] = fmaxf(tops[e >> 1], scores[n][e]);
    }
    MASKERADE_UNROLL
    for (int half = 0; half < 2; ++half) {
      tops[half] = fmaxf(tops[half], lane.shuffle_xor(tops[half], 1));
      tops[half] = fmaxf(tops[half], lane.shuffle_xor(tops[half], 2));
      // A row without keys so far: any finite number keeps infinities out of differences.
      const float finite_top = tops[half] == kNoKeys ? 0 : tops[half];
      factors[half] = lane.exp2(state_[half].top - finite_top);
      state_[half].top = tops[half];
      state_[half].sum *= factors[half];
      tops[half] = finite_top;
    }
    MASKERADE_UNROLL
    for (int n = 0; n < kGroups; ++n) {
      MASKERADE_UNROLL
      for (int e = 0; e < 4; ++e) {
        scores[n][e] = lane.exp2(scores[n][e] - tops[e >> 1]);
        state_[e >> 1].sum += scores[n][e];
      }
    }
  }

  // After the last step: the sums of whole rows.
  MASKERADE_DEVICE void finish(Lane& lane) {
    MASKERADE_UNROLL
    for (int half = 0; half < 2; ++half) {
      state_[half].sum += lane.shuffle_xor(state_[half].sum, 1);
      state_[half].sum += lane.shuffle_xor(state_[half].sum, 2);
    }
  }

  MASKERADE_DEVICE const RowState& state(int half) const { return state_[half]; }

  // Stores what this thread has of a row of the output.
  template <int kGroups>
  MASKERADE_DEVICE void store(Lane& lane,
                              int half,
                              const float (&out)[kGroups][4],
                              const RowTarget& target) const {
    const int t = lane.in_warp() & 3;
    const float factor = stored_factor(target, state_[half]);
    MASKERADE_UNROLL
    for (int n = 0; n < kGroups; ++n) {
      lane.store_pair(target.out + n * 8 + 2 * t, out[n][2 * half] * factor,
                      out[n][2 * half + 1] * factor);
    }
    if (t == 0) store_state(target, state_[half]);
  }

 private:
  RowState state_[2];
};

// Scores become logit(half, column, score), of row g + 8 half.
template <typename Lane, int kGroups, typename Logit>
MASKERADE_DEVICE void weigh_each(Lane& lane, float (&scores)[kGroups][4], const Logit& logit) {
  const int first_column = 2 * (lane.in_warp() & 3);
  MASKERADE_UNROLL
  for (int n = 0; n < kGroups; ++n) {
    MASKERADE_UNROLL
    for (int e = 0; e < 4; ++e) {
      scores[n][e] = logit(e >> 1, n * 8 + first_column + (e & 1), scores[n][e]);
    }
  }
}

// Multiplies a row pair's sums: out[n][e] by that of its row.
template <int kGroups>
MASKERADE_DEVICE void scale_rows(float (&out)[kGroups][4], const float (&factors)[2]) {
  MASKERADE_UNROLL
  for (int n = 0; n < kGroups; ++n) {
    MASKERADE_UNROLL
    for (int e = 0; e < 4; ++e) out[n][e] *= factors[e >> 1];
  }
}

// Weights of 16 columns, [2 s] and [2 s + 1] of a result, as the left operand of a product.
template <DType kType, typename Lane, int kGroups>
MASKERADE_DEVICE void pack_weights(Lane& lane,
                                   const float (&weights)[kGroups][4],
                                   int s,
                                   std::uint32_t (&a)[4]) {
  a[0] = lane.template pack<kType>(weights[2 * s][0], weights[2 * s][1]);
  a[1] = lane.template pack<kType>(weights[2 * s][2], weights[2 * s][3]);
  a[2] = lane.template pack<kType>(weights[2 * s + 1][0], weights[2 * s + 1][1]);
  a[3] = lane.template pack<kType>(weights[2 * s + 1][2], weights[2 * s + 1][3]);
}

}  // namespace maskerade::cuda
