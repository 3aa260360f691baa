#pragma once

#include <cstdint>
#include <span>

#include "experiments/sources/source.hpp"
#include "framework/base/parallel.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/shape.hpp"
#include "framework/tensor/tensor.hpp"

namespace maskerade {

// What the data of a structured source is made to show: random q, k, v whose softmax mass lies
// where trained attention puts it, so that it matters which keys a pattern keeps. It models no
// particular network.
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
//             but noise, and their values are 1/20 of the others. This part of a query is not
//             rotated, so that they draw it at any distance;
//   noise     a standard deviation of 0.1 in every element of q and k, all that other pairs hold.
// Values are standard normal. Heads differ: each query head draws odds for the three masses, and
// its contrast, with log-standard deviations of 0.5 and 0.15.
//
// sink_mass, local_mass and hitter_mass are shares of a query's softmax mass: of the first `sinks`
// keys, of the other keys less than `window` tokens away, and of all hitters; a hitter that is near
// counts as both. What is left is the content's. Each query is calibrated on its logits of the keys
// that it sees, as they are stored: how strongly it is drawn is chosen so that its shares are those
// of its head, and the heads' shares have the asked ones as their mean. So the means over rows that
// see at least 1,000 keys and 16 windows are within 2 points of what is asked, for a head_dim of 64
// or more, contrasts from 1 to 10 and every dtype. Not reached is
//   - less mass than keys have without being drawn: near keys where few keys are visible;
//   - a large local_mass with a head_dim under 64, which has few fast pairs. The others' shares
//   hold.
// A mass of 0 draws nobody to its keys. A query whose content alone breaks its shares, as at a high
// contrast the best of few keys may lie near it, draws another content, up to 4 times.
//
// Random numbers are Philox's, by seed, head and absolute position: the same for any thread count.
// A key is the same in a longer sequence, and so is a query that sees the same keys.
struct StructuredTraits {
  std::uint64_t seed = 0;
  std::int64_t rank = 8;       // directions that the content of the keys of a head spans
  double contrast = 2;         // standard deviation of a query's content logits, in nats
  std::int64_t sinks = 4;      // the first keys, which draw every query
  double sink_mass = 0.2;      // the share of softmax mass that they aim at
  std::int64_t window = 64;    // tokens around a query that are near
  double local_mass = 0.25;    // the share of softmax mass that the near keys aim at
  double hitters = 0.01;       // share of the keys that every query of a group favours
  double hitter_mass = 0.15;   // the share of softmax mass that they aim at
  double rope_base = 500'000;  // of the rotary position embedding
};

// Data of a shape. `scale` is that of the logits. `positions` [any length], counted from the first
// key, are those of the queries to make: q is [batch, query_heads, positions.size(), head_dim].
// Requires a head_dim that is even and at least 16, masses that sum to less than 1 and rank, window
// >= 1.
QkvTensors structured_tensors(const StructuredTraits& traits,
                              const AttentionShape& shape,
                              DType dtype,
                              bool causal,
                              float scale,
                              std::span<const std::int64_t> positions,
                              const Threads& threads);

}  // namespace maskerade
