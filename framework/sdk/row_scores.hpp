// Scores of many rows of a call, each key read once for all of them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/sdk/masker_abi.h"
#include "framework/sdk/row.hpp"

namespace maskerade::sdk {

// Heads or queries [begin, end), numbered as in the call, which must hold them.
struct Span {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// The scores q.k of one query, for several heads.
class QueryScores {
 public:
  // scores: of the row of `head_begin`; those of the next head lie head_stride further.
  QueryScores(const maskerade_call& call,
              std::int64_t query,
              std::int64_t head_begin,
              const float* scores,
              std::int64_t head_stride)
      : call_(&call),
        query_(query),
        head_begin_(head_begin),
        scores_(scores),
        head_stride_(head_stride) {}

  std::int64_t query() const { return query_; }  // in the problem
  // head: one that was asked for.
  Row row(std::int64_t head) const {
    const std::int64_t queries = call_->query_end - call_->query_begin;
    return {*call_, (head - call_->head_begin) * queries + query_ - call_->query_begin};
  }
  // One score per visible key, in the host's order of summation.
  std::span<const float> of(std::int64_t head) const {
    return {scores_ + (head - head_begin_) * head_stride_,
            static_cast<std::size_t>(call_->visible_ends[query_])};
  }

 private:
  const maskerade_call* call_;
  std::int64_t query_;
  std::int64_t head_begin_;
  const float* scores_;
  std::int64_t head_stride_;
};

// Calls visit(QueryScores) for every one of `queries`, with the scores of `heads`. Where a call's
// queries are cut changes nothing of what is scored, as long as they begin where the host or a unit
// of the masker begins them.
template <typename Visit>
void score_queries(const maskerade_call& call, Span heads, Span queries, Visit&& visit) {
  require_declared(call.host, MASKERADE_DEPENDS_SHAPE, "asks for the scores of its visible keys");
  constexpr std::int64_t kMostQueries = 64;        // calls are cut at multiples of it
  constexpr std::int64_t kMostScores = 2'000'000;  // 8 MB
  const std::int64_t head_count = heads.end - heads.begin;
  const std::int64_t call_queries = call.query_end - call.query_begin;
  const auto fit = static_cast<std::uint64_t>(
      std::clamp<std::int64_t>(kMostScores / (head_count * call.shape.key_len), 1, kMostQueries));
  const auto step = static_cast<std::int64_t>(std::bit_floor(fit));  // divides 64
  std::vector<float> scores;
  for (std::int64_t begin = queries.begin; begin < queries.end; begin += step) {
    const std::int64_t count = std::min(step, queries.end - begin);
    const std::int64_t keys =
        *std::max_element(call.visible_ends + begin, call.visible_ends + begin + count);
    scores.resize(static_cast<std::size_t>(head_count * count * keys));
    // Rows of several heads follow each other when they are all of the call's queries.
    const std::int64_t heads_together = count == call_queries ? head_count : 1;
    for (std::int64_t head = 0; head < head_count; head += heads_together) {
      const std::int64_t row =
          (heads.begin - call.head_begin + head) * call_queries + begin - call.query_begin;
      require_ok(call.services->score_range(&call, row, row + heads_together * count, 0, keys,
                                            scores.data() + head * count * keys, keys));
    }
    for (std::int64_t i = 0; i < count; ++i) {
      visit(QueryScores(call, begin + i, heads.begin, scores.data() + i * keys, count * keys));
    }
  }
}

// Calls visit(QueryScores, head) for every one of `heads` and `queries`; a head's queries come in
// their order. Where a call has one query, keys are read once for all heads of a kv group; else
// heads are scored one after another, more queries at once.
template <typename Visit>
void score_each_head(const maskerade_call& call, Span heads, Span queries, Visit&& visit) {
  const std::int64_t together =
      call.query_end - call.query_begin == 1 ? heads.end - heads.begin : 1;
  for (std::int64_t first = heads.begin; first < heads.end; first += together) {
    score_queries(call, {first, first + together}, queries, [&](const QueryScores& query) {
      for (std::int64_t head = first; head < first + together; ++head) visit(query, head);
    });
  }
}

// weights[j] = exp(scale * (scores[j] - their largest)) in float64; returns their sum in key order.
inline double softmax_weights(const Row& row,
                              std::span<const float> scores,
                              std::vector<double>& weights) {
  weights.resize(scores.size());
  if (scores.empty()) return 0;
  row.host().exponentials(scores, double{row.call().scale},
                          *std::max_element(scores.begin(), scores.end()), weights);
  double sum = 0;
  for (const double weight : weights) sum += weight;
  return sum;
}

// Sets the weights of a row's active keys to 0.
inline void clear_active(const Row& row, std::span<double> weights) {
  const std::vector<std::uint64_t> active = row.active_bits();
  for (std::size_t word = 0; word < active.size(); ++word) {
    for (std::uint64_t left = active[word]; left != 0; left &= left - 1) {
      weights[64 * word + static_cast<std::size_t>(std::countr_zero(left))] = 0;
    }
  }
}

}  // namespace maskerade::sdk
