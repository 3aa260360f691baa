#pragma once

#include <cstdint>
#include <span>

#include "experiments/config/experiment.hpp"
#include "framework/base/parallel.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/shape.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {

// The structured source: random q, k, v whose softmax mass lies where trained attention puts it, so
// that it matters which keys a pattern keeps. Not a model of any network.
//
// A vector has head_dim / 2 pairs (j, j + head_dim / 2), rotated by position * rope_base^(-2j /
// head_dim) as in RoPE (Su et al., "RoFormer", 2021, section 3.2.2). As in trained heads (Barbero
// et al., "Round and round we go!", ICLR 2025), fast pairs tell positions apart and slow ones carry
// meaning. A key and a query are sums of:
//   near      the pairs with a period under about 2 pi `window` tokens hold a constant: after
//             rotation the logit falls with the distance, with the ripples that RoPE has;
//   content   slow pairs, from 5/8 of the pairs on: keys span `rank` directions of a kv head, of
//             energies 1, 1/2, 1/3, ...; half of a key's energy is shared by a run of 16 keys, so
//             that neighbours are alike. The logits of one query are normal with a standard
//             deviation of `contrast`, less for keys thousands of tokens away, which have turned;
//   hitters   the second slowest pair: a share `hitters` of the keys, the same for the query heads
//             of a group, draws every query;
//   sinks     the slowest pair: the first `sinks` keys draw every query (Xiao et al., "Efficient
//             streaming language models with attention sinks", ICLR 2024), hold nothing else
//             but noise, and their values are 1/20 of the others;
//   noise     a standard deviation of 0.1 in every element of q and k, all that other pairs hold.
// Values are standard normal. sink_mass, local_mass, hitter_mass and what is left for content are
// shares that each query aims at over the keys it sees, whatever their number; the query's
// coefficients are computed from them. Heads differ: each query head draws odds for the three, and
// its contrast, with log-standard deviations of 0.5 and 0.15. What is reached is near the aim where
// there are hundreds of keys; a small head_dim has few fast pairs and cannot reach a large
// local_mass.
//
// Random numbers are Philox's, by seed, head and absolute position: the same for any thread count,
// and a key is the same in a longer sequence.
struct StructuredTensors {
  Tensor q;  // [batch, query_heads, positions.size(), head_dim]
  Tensor k;  // [batch, kv_heads, key_len, head_dim]
  Tensor v;  // the same
};

// `positions` are those of the queries to make; `scale` is that of the logits. Requires a head_dim
// that is even and at least 16, masses that sum to less than 1 and rank, window >= 1.
StructuredTensors structured_tensors(const StructuredSource& source,
                                     const AttentionShape& shape,
                                     DType dtype,
                                     bool causal,
                                     float scale,
                                     std::span<const std::int64_t> positions,
                                     const Threads& threads);

}  // namespace maskerade
