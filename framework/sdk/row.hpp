// One row of a call: what a masker may read of it, and how it adds keys to it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "framework/sdk/arguments.hpp"
#include "framework/sdk/dependencies.hpp"
#include "framework/sdk/host.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade::sdk {

// Thrown when a host service refuses; the host has kept the reason.
class HostRefused : public std::runtime_error {
 public:
  HostRefused() : std::runtime_error("a host service refused") {}
};

inline void require_ok(std::int32_t status) {
  if (status != MASKERADE_OK) throw HostRefused();
}

// One (head, query) of a call.
class Row {
 public:
  Row(const maskerade_call& call, std::int64_t row) : call_(&call), row_(row) {
    const std::int64_t queries = call.query_end - call.query_begin;
    head_ = call.head_begin + row / queries;
    query_ = call.query_begin + row % queries;
  }

  const maskerade_call& call() const { return *call_; }
  Host host() const { return Host(call_->host); }
  std::int64_t number() const { return row_; }  // in the call

  // What the row is and reads. Each throws unless the masker declares that it depends on it: the
  // flag stands beside.
  std::int64_t batch() const {  // kBatch
    require(MASKERADE_DEPENDS_BATCH, "asks for the number of its batch entry");
    return call_->batch;
  }
  std::int64_t head() const {  // kHead
    require(MASKERADE_DEPENDS_HEAD, "asks for the number of its head");
    return head_;
  }
  std::int64_t kv_head() const {  // kHead
    require(MASKERADE_DEPENDS_HEAD, "asks for the number of its kv head");
    return own_kv_head();
  }
  std::int64_t query() const {  // kShape
    require(MASKERADE_DEPENDS_SHAPE, "asks for the number of its query");
    return query_;
  }
  std::int64_t position() const {  // kShape
    require(MASKERADE_DEPENDS_SHAPE, "asks for its position");
    return call_->positions[query_];
  }
  std::int64_t key_len() const {  // kShape
    require(MASKERADE_DEPENDS_SHAPE, "asks for the number of keys");
    return call_->shape.key_len;
  }
  // Keys 0 ... visible_len() - 1 are visible.
  std::int64_t visible_len() const {  // kShape
    require(MASKERADE_DEPENDS_SHAPE, "asks for the number of visible keys");
    return call_->visible_ends[query_];
  }
  std::int64_t resolve(const Tokens& tokens) const { return tokens.of(key_len(), visible_len()); }

  // The query, widened to float32: [head_dim], valid until select() returns.
  std::span<const float> query_vector() const {  // kQuery
    require(MASKERADE_DEPENDS_QUERY, "reads its query");
    const auto dim = static_cast<std::size_t>(call_->shape.head_dim);
    auto* widened = static_cast<float*>(call_->services->scratch(call_, dim * sizeof(float)));
    if (widened == nullptr) throw HostRefused();
    call_->host->to_float(call_->q.dtype, row_of(call_->q, head_, query_), dim, widened);
    return {widened, dim};
  }
  // The address of the value of a key: head_dim numbers of call().v.dtype.
  const void* value(std::int64_t key) const {  // kValue
    require(MASKERADE_DEPENDS_VALUE, "reads values");
    return row_of(call_->v, own_kv_head(), key);
  }
  // The index of this row's kv head.
  template <typename Index>
  const Index& index() const {
    return *static_cast<const Index*>(call_->indexes[own_kv_head()]);
  }

  std::int64_t active_count() const { return call_->services->active_count(call_, row_); }
  // One bit per key, 64 keys a word: what is active so far.
  std::vector<std::uint64_t> active_bits() const {
    std::vector<std::uint64_t> words(static_cast<std::size_t>((key_len() + 63) / 64));
    require_ok(call_->services->active_bits(call_, row_, 0, words.data(), words.size()));
    return words;
  }
  // The active keys, ascending.
  std::vector<std::int32_t> active_keys() const {
    std::vector<std::int32_t> keys;
    const std::vector<std::uint64_t> active = active_bits();
    for (std::size_t word = 0; word < active.size(); ++word) {
      for (std::uint64_t left = active[word]; left != 0; left &= left - 1) {
        keys.push_back(static_cast<std::int32_t>(word * 64) + std::countr_zero(left));
      }
    }
    return keys;
  }
  // scores[j] = q.k of key key_begin + j, in the host's one order of summation.
  void products(std::int64_t key_begin, std::int64_t key_end, std::span<float> scores) const {
    require_ok(call_->services->score_range(call_, row_, row_ + 1, key_begin, key_end,
                                            scores.data(), key_end - key_begin));
  }

  // Adds keys [key_begin, key_end); what is not visible is left out.
  void add_range(std::int64_t key_begin, std::int64_t key_end) const {
    require_ok(call_->services->add_range(call_, row_, row_ + 1, key_begin, key_end));
  }
  void add_key(std::int64_t key, float probability = 1.0F) const {
    const auto narrow = static_cast<std::int32_t>(key);
    require_ok(call_->services->add_keys(call_, row_, &narrow, &probability, 1));
  }
  // probabilities: one per key, or empty for 1.
  void add_keys(std::span<const std::int32_t> keys,
                std::span<const float> probabilities = {}) const {
    require_ok(call_->services->add_keys(call_, row_, keys.data(),
                                         probabilities.empty() ? nullptr : probabilities.data(),
                                         keys.size()));
  }
  // Adds the `count` best visible inactive keys by scores[key].
  void add_top(std::span<const float> scores, std::int64_t count) const {
    require_ok(call_->services->add_top_scores(call_, row_, scores.data(), 0,
                                               static_cast<std::int64_t>(scores.size()), count));
  }
  // The indices of the `count` best of any scores, ascending.
  std::vector<std::int32_t> top_indices(std::span<const float> scores, std::int64_t count) const {
    const auto most = static_cast<std::size_t>(
        std::clamp<std::int64_t>(count, 0, static_cast<std::int64_t>(scores.size())));
    std::vector<std::int32_t> indices(most);
    indices.resize(
        call_->services->top_indices(call_, scores.data(), scores.size(), most, indices.data()));
    return indices;
  }

  // A draw without replacement among the visible inactive keys in [key_begin, key_end): `count` of
  // them, or all, ascending; purpose tells the masker's draws apart.
  std::vector<std::int32_t> draw(std::uint32_t purpose,
                                 std::int64_t key_begin,
                                 std::int64_t key_end,
                                 std::int64_t count) const {
    std::vector<std::int32_t> keys(static_cast<std::size_t>(
        std::clamp<std::int64_t>(count, 0, std::max<std::int64_t>(key_end - key_begin, 0))));
    keys.resize(call_->services->draw(call_, row_, purpose, key_begin, key_end, keys.size(),
                                      keys.data(), nullptr));
    return keys;
  }
  // How many keys draw() would choose from: the visible inactive ones in [key_begin, key_end).
  std::int64_t candidates(std::int64_t key_begin, std::int64_t key_end) const {
    std::size_t population = 0;
    call_->services->draw(call_, row_, 0, key_begin, key_end, 0, nullptr, &population);
    return static_cast<std::int64_t>(population);
  }

 private:
  void require(std::uint32_t needed, const char* what) const {
    require_declared(call_->host, needed, what);
  }
  // By the numbers of the call, which begin at 0 unless the masker declares kHead.
  std::int64_t own_kv_head() const {
    return head_ * call_->shape.kv_heads / call_->shape.query_heads;
  }

  const maskerade_call* call_;
  std::int64_t row_;
  std::int64_t head_;
  std::int64_t query_;
};

// Calls visit(key) for visible inactive keys of a row by ascending key; visit returns the first key
// that it wants next, key + 1 for all.
template <typename Visit>
void for_each_inactive(const Row& row, Visit&& visit) {
  const std::vector<std::uint64_t> active = row.active_bits();
  for (std::int64_t key = 0; key < row.visible_len();) {
    const std::uint64_t left = ~active[static_cast<std::size_t>(key / 64)] >> (key % 64);
    if (left == 0) {
      key = (key / 64 + 1) * 64;
      continue;
    }
    key += std::countr_zero(left);
    if (key < row.visible_len()) key = visit(key);
  }
}

inline std::int64_t row_count(const maskerade_call& call) {
  return (call.head_end - call.head_begin) * (call.query_end - call.query_begin);
}

}  // namespace maskerade::sdk
