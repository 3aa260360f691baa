// What is asked of every masker without sampled entries.
#pragma once

#include <algorithm>
#include <functional>

#include "tests/maskers/masker_problem.hpp"

namespace maskerade {

// Makes each `times` keys of a problem in float32 one key: all scores tie.
inline void repeat_keys(MaskerProblem& problem, std::int64_t times) {
  const TensorView& k = problem.inputs().k;
  for (std::int64_t b = 0; b < k.batch; ++b) {
    for (std::int64_t h = 0; h < k.heads; ++h) {
      for (std::int64_t key = 0; key < k.length; ++key) {
        // The problem owns the tensor that it views.
        auto* row = static_cast<float*>(const_cast<void*>(k.row(b, h, key)));
        std::copy_n(static_cast<const float*>(k.row(b, h, key / times * times)), k.dim, row);
      }
    }
  }
}

// The keys of a row of a mask, by its own batch and head, ascending.
inline std::vector<std::int64_t> keys_of(const Mask& mask,
                                         std::int64_t batch,
                                         std::int64_t head,
                                         std::int64_t query) {
  std::vector<std::int64_t> keys;
  for (std::int64_t key = 0; key < mask.key_len(); ++key) {
    if (mask.probability(batch, head, query, key) > 0) keys.push_back(key);
  }
  return keys;
}

// The mask's rows are those of `expected(batch, head, query)`, keys of the row in ascending order.
using ExpectedKeys =
    std::function<std::vector<std::int64_t>(std::int64_t, std::int64_t, std::int64_t)>;
inline void expect_keys(const Mask& mask,
                        const MaskerProblem& problem,
                        const ExpectedKeys& expected) {
  const AttentionShape& shape = problem.shape();
  const Mask whole = broadcast(mask, {shape.batch, shape.query_heads});
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.query_heads; ++h) {
      for (std::int64_t i = 0; i < shape.query_len; ++i) {
        ASSERT_EQ(keys_of(whole, b, h, i), expected(b, h, i))
            << "batch " << b << ", head " << h << ", query " << i << " of " << shape.to_string();
      }
    }
  }
}

// The softmax weights of a row over its visible keys, in float64.
inline std::vector<double> softmax_of(std::vector<double> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (double& logit : logits) sum += logit = std::exp(logit - top);
  for (double& logit : logits) logit /= sum;
  return logits;
}

// The heads that select with `head`: [first, end).
inline std::pair<std::int64_t, std::int64_t> sharing_heads(const AttentionShape& shape,
                                                           const std::string& share,
                                                           std::int64_t head) {
  if (share == "all") return {0, shape.query_heads};
  if (share == "query_head") return {head, head + 1};
  const std::int64_t first = shape.kv_head_of(head) * shape.group_size();
  return {first, first + shape.group_size()};
}

// The shapes that every masker is tried on: one key, one query, ragged lengths, GQA 1, 3, 8.
inline std::vector<AttentionShape> edge_shapes() {
  return {{1, 1, 1, 1, 1, 8},    {1, 2, 2, 1, 130, 8},   {2, 8, 2, 1, 203, 8}, {1, 3, 1, 5, 64, 16},
          {2, 8, 1, 70, 203, 8}, {1, 6, 2, 131, 131, 8}, {1, 8, 8, 3, 100, 16}};
}

// With one query, however heads share: the keys are read once for each kv head, and the masks are
// the same for any thread count.
inline void expect_keys_read_once_at_decode(const std::string& id, const Given& given) {
  const MaskerProblem problem({2, 8, 2, 1, 203, 8}, {.causal = true, .dtype = DType::kBFloat16});
  for (const std::string share : {"query_head", "kv_head", "all"}) {
    Given shared = given;
    shared.emplace_back("share", share);
    EXPECT_EQ(run({use(id, shared)}, problem).maskers[0].bytes_read, 2 * 2 * 203 * 8 * 2) << share;
    expect_one_mask({use("sink", {{"", "3"}}), use(id, shared)}, problem);
  }
}

}  // namespace maskerade
