#include <array>
#include <numeric>
#include <utility>

#include "framework/sdk/masker.hpp"
#include "framework/sdk/row_scores.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Sorts numbers of [least, top] into buckets, larger ones into earlier buckets.
class Buckets {
 public:
  static constexpr std::size_t kCount = 2048;

  explicit Buckets(std::span<const float> numbers) {
    const auto [least, top] = std::minmax_element(numbers.begin(), numbers.end());
    top_ = *top;
    per_unit_ = *top > *least ? static_cast<float>(kCount) / (*top - *least) : 0.0F;
  }
  std::size_t of(float number) const {
    constexpr float kLast = kCount - 1;
    const float place = (top_ - number) * per_unit_;
    return static_cast<std::size_t>(static_cast<int>(place < kLast ? place : kLast));
  }

 private:
  float top_;
  float per_unit_;
};

// The fewest keys that hold a share of the softmax mass, found by computing the mass of every key.
class OracleTopP final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    sdk::Description description{
        .id = "oracle_topp",
        .summary = "the highest inactive keys until a share of the softmax mass is exceeded",
        .reference = "arXiv:1904.09751 (nucleus), arXiv:2502.02770",
        .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
        .parameters = {
            sdk::share("mass", "share of the softmax mass to exceed; 1: every key").above(0),
            sdk::choice("of", {"row", "residual"},
                        "the mass of all visible keys, what is active counted as "
                        "taken; or that of the inactive keys")
                .with_default("row")}};
    for (sdk::Parameter& parameter : sdk::Sharing::parameters()) {
      description.parameters.push_back(std::move(parameter));
    }
    return description;
  }

  explicit OracleTopP(const sdk::Arguments& arguments)
      : mass_(arguments.share("mass")),
        of_row_(arguments.choice("of") == "row"),
        sharing_(sdk::Sharing::from(arguments)) {}

  // Heads that select alone still share a call with their kv group, so that each key is read once
  // for all of them.
  maskerade_grain grain() const override {
    return {1, std::max<std::uint32_t>(sharing_.heads, MASKERADE_HEADS_GROUP)};
  }

  void select(const maskerade_call& call) const override {
    std::vector<double> weights;
    std::vector<double> pooled;
    std::vector<float> order;
    sdk::score_queries(call, {call.head_begin, call.head_end}, {call.query_begin, call.query_end},
                       [&](const sdk::QueryScores& query) {
                         if (sharing_.heads == MASKERADE_HEADS_ONE) {
                           for (std::int64_t head = call.head_begin; head < call.head_end; ++head) {
                             sdk::softmax_weights(query.row(head), query.of(head), weights);
                             add_prefix(query.row(head), query.of(head), weights);
                           }
                           return;
                         }
                         // Heads that share choose by the sum of their softmax weights.
                         pooled.assign(query.of(call.head_begin).size(), 0.0);
                         for (std::int64_t head = call.head_begin; head < call.head_end; ++head) {
                           const double sum =
                               sdk::softmax_weights(query.row(head), query.of(head), weights);
                           for (double& weight : weights) weight /= sum;
                           sharing_.pool<double>(weights, pooled);
                         }
                         order.assign(pooled.begin(), pooled.end());
                         for (std::int64_t head = call.head_begin; head < call.head_end; ++head) {
                           add_prefix(query.row(head), order, pooled);
                         }
                       });
  }

 private:
  // Adds inactive keys by descending `order` until their weight exceeds the share, with all keys
  // that tie with the last one. Weights are summed in key order within a bucket, then over buckets.
  void add_prefix(const sdk::Row& row,
                  std::span<const float> order,
                  std::span<const double> weights) const {
    if (mass_ >= 1 || order.empty()) return row.add_range(0, row.visible_len());
    const std::vector<std::uint64_t> active = row.active_bits();
    const Buckets buckets(order);
    std::array<double, Buckets::kCount> sums{};
    double taken = 0;
    for (std::size_t j = 0; j < order.size(); ++j) {
      if ((active[j / 64] >> (j % 64) & 1U) == 0) {
        sums[buckets.of(order[j])] += weights[j];
      } else if (of_row_) {
        taken += weights[j];
      }
    }
    const double enough = mass_ * std::accumulate(sums.begin(), sums.end(), taken);
    if (taken > enough) return;
    std::size_t last = 0;
    while (last + 1 < sums.size() && taken + sums[last] <= enough) taken += sums[last++];

    // Takes all inactive keys of the buckets before the last one, and of the last as many as
    // needed.
    std::vector<std::int32_t> keys(order.size());
    std::vector<std::pair<float, std::int32_t>> candidates;
    std::size_t count = 0;
    for (std::size_t j = 0; j < order.size(); ++j) {
      const std::size_t bucket = buckets.of(order[j]);
      const bool inactive = (active[j / 64] >> (j % 64) & 1U) == 0;
      keys[count] = static_cast<std::int32_t>(j);
      count += inactive && bucket < last ? 1 : 0;
      if (inactive && bucket == last) candidates.emplace_back(order[j], keys[count]);
    }
    keys.resize(count);
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      if (taken > enough && candidates[c].first < candidates[c - 1].first) break;
      taken += weights[static_cast<std::size_t>(candidates[c].second)];
      keys.push_back(candidates[c].second);
    }
    row.add_keys(keys);
  }

  double mass_;
  bool of_row_;
  sdk::Sharing sharing_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(OracleTopP)
