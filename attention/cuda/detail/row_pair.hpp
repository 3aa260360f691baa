#pragma once

#include <cmath>

#include "attention/cuda/detail/attend_arguments.hpp"

namespace maskerade::cuda {

// The online softmax of the two rows of a matrix product's result of which a thread holds elements:
// with g = lane / 4 and t = lane % 4, rows g and g + 8. Four threads share a row. In an array
// result[n][4], elements [n][0] and [n][1] are columns 8 n + 2 t and 8 n + 2 t + 1 of row g; [n][2]
// and [n][3] are those of row g + 8. `half` is 0 for row g and 1 for row g + 8.
template <typename Lane>
class RowPair {
 public:
  // One step: turns logits in units of log 2, kNoKeys for inactive columns, into weights, in place.
  // Sets factors[half] to what the row's earlier sums of weighted values must be multiplied by.
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
      // A row without active keys so far: any finite number will do, and -inf - -inf would be NaN.
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

  // Call it after the last step: adds up the four threads' sums of weights of each row.
  MASKERADE_DEVICE void finish(Lane& lane) {
    MASKERADE_UNROLL
    for (int half = 0; half < 2; ++half) {
      state_[half].sum += lane.shuffle_xor(state_[half].sum, 1);
      state_[half].sum += lane.shuffle_xor(state_[half].sum, 2);
    }
  }

  MASKERADE_DEVICE const RowState& state(int half) const { return state_[half]; }

  // Stores the elements of a row of the result `out` that this thread holds, and, in one thread,
  // the row's state.
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
  RowState state_[2];  // by half; the sum is this thread's until finish()
};

// Replaces each score of a RowPair's result by logit(half, column, score).
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

// Multiplies each element of a RowPair's result by the factor of its row.
template <int kGroups>
MASKERADE_DEVICE void scale_rows(float (&out)[kGroups][4], const float (&factors)[2]) {
  MASKERADE_UNROLL
  for (int n = 0; n < kGroups; ++n) {
    MASKERADE_UNROLL
    for (int e = 0; e < 4; ++e) out[n][e] *= factors[e >> 1];
  }
}

// Packs the weights of columns 16 s ... 16 s + 15 of a RowPair's result as a left operand of
// mma.m16n8k16 or wgmma.
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
