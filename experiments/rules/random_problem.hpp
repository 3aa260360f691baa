// Random problems and masks, each a function of its seed.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "framework/mask/mask.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade::rules {

// What the numbers of q, k and v are like.
enum class DataKind {
  kNormal,            // standard normal
  kTies,              // multiples of 1/4 in [-1, 1]: many scores are equal
  kEqualKeys,         // normal; keys that follow each other are equal, ProblemSpec::equal_keys each
  kHeavyKeys,         // normal; each key is longer by a log-normal factor of ProblemSpec::key_sigma
  kLargeLogits,       // normal; q is 40 times as large: the softmax is nearly one key
  kDenormals,         // normal; every second number of k and v is a denormal of the dtype, or 0
  kCancellingValues,  // normal; each second value is the one before it with the other sign
};
std::span<const DataKind> all_data_kinds() noexcept;
std::string_view name_of(DataKind kind) noexcept;  // "normal", "ties", ...

// What a random problem is a function of.
struct ProblemSpec {
  AttentionShape shape;
  DType dtype = DType::kFloat32;
  bool causal = false;  // requires query_len <= key_len
  DataKind kind = DataKind::kNormal;
  std::uint64_t seed = 1;
  std::int64_t equal_keys = 8;  // of kEqualKeys
  double key_sigma = 1;         // of kHeavyKeys: heavy-tailed weights
  std::int64_t layer = 0;       // of the model, for maskers that have weights for each
};
// "(1, 8, 2, 3, 101, 16) bfloat16 causal ties seed 5"
std::string to_string(const ProblemSpec& spec);

// Tensors of random values, and the inputs that view them. The same spec gives the same numbers.
// Copies share the tensors.
struct RandomProblem {
  explicit RandomProblem(const ProblemSpec& spec);
  // Of normal values.
  RandomProblem(const AttentionShape& shape, DType dtype, bool causal, unsigned seed)
      : RandomProblem(ProblemSpec{.shape = shape, .dtype = dtype, .causal = causal, .seed = seed}) {
  }

  Tensor q;
  Tensor k;
  Tensor v;
  AttentionInputs inputs;  // scale 1 / sqrt(head_dim)
};

// A tensor [batch, heads, length, dim] of standard normal values.
Tensor normal_tensor(DType dtype,
                     std::int64_t batch,
                     std::int64_t heads,
                     std::int64_t length,
                     std::int64_t dim,
                     std::uint64_t seed);

// The shapes that everything is tried on: one key, one query, lengths that are no multiple of 64,
// groups of 1, 3 and 8 query heads.
std::vector<AttentionShape> edge_shapes(std::int64_t head_dim);

// A small problem drawn by a seed: batch 1 or 2, groups of 1, 3, 4 or 8 query heads, lengths beside
// the borders of tiles, any dtype, any kind of data, causal where it can be.
ProblemSpec draw_problem(std::uint64_t seed);

// A mask of whole tiles, single keys and empty rows: each tile of 64 keys is full with probability
// tiles; elsewhere each key is active with probability keys; each row is empty with probability
// empty. With sampled, half of the single keys have a probability below 1.
struct RandomMaskOptions {
  double tiles = 0.2;
  double keys = 0.1;
  double empty = 0.1;
  bool sampled = false;
};
Mask random_mask(const Visibility& visibility,
                 MaskExtent extent,
                 const RandomMaskOptions& options,
                 unsigned seed);

// Every query sees every key; causal; queries at random positions in ascending or in no order.
// With query_len > key_len never plain causal.
Visibility random_visibility(std::int64_t query_len, std::int64_t key_len, std::mt19937_64& engine);

// Whether the probabilities of a random mask may be below 1.
enum class MaskKind { kBits, kSampled };

// Dense probabilities [batch, heads, query_len, key_len], 0 where hidden, whose 64 x 64 tiles are
// empty, full, nearly one of these, or mixed.
std::vector<float> random_weights(const Visibility& visibility,
                                  MaskExtent extent,
                                  MaskKind kind,
                                  std::mt19937_64& engine);

}  // namespace maskerade::rules
