// What is asked of every masker without sampled entries.
#pragma once

#include <algorithm>
#include <functional>

#include "tests/maskers/masker_problem.hpp"

namespace maskerade {

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

// The shapes that every masker is tried on: those of the rules, some with more dimensions.
inline std::vector<AttentionShape> edge_shapes() {
  std::vector<AttentionShape> shapes = rules::edge_shapes(8);
  for (AttentionShape& shape : shapes) {
    if (shape.query_len == 3 || shape.query_len == 5) shape.head_dim = 16;
  }
  return shapes;
}

// With one query, however heads share: the keys are read once for each kv head, and every rule of a
// selection is kept.
inline void expect_keys_read_once_at_decode(const std::string& id, const NamedArguments& given) {
  const MaskerProblem problem({2, 8, 2, 1, 203, 8}, {.causal = true, .dtype = DType::kBFloat16});
  for (const std::string share : {"query_head", "kv_head", "all"}) {
    NamedArguments shared = given;
    shared.emplace_back("share", share);
    EXPECT_EQ(run({use(id, shared)}, problem).maskers.front().bytes_read, 2 * 2 * 203 * 8 * 2)
        << share;
    expect_selection_rules({use("sink", {{"", "3"}}), use(id, shared)}, problem);
  }
}

}  // namespace maskerade
