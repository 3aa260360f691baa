#include <cmath>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The estimator that MagicPIG approximates (arXiv 2410.16179, section 3): draws with replacement by
// the softmax weights w of the row's candidates, all of which it computes. A key is among b draws
// with probability 1 - (1 - w)^b.
class OracleSampling final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {
        .id = "oracle_sampling",
        .summary = "draws with replacement by the exact softmax weights; every head draws its own",
        .reference = "arXiv:2410.16179",
        .depends_on = sdk::kShape | sdk::kSeed | sdk::kQuery | sdk::kKey | sdk::kActive,
        .traits = MASKERADE_TRAIT_SAMPLES,
        .parameters = {
            // The maximum stands for a search, too: a density may need more draws than keys.
            sdk::tokens("budget", "draws; a key that is drawn again is not replaced by another")
                .at_most(1e6),
            sdk::tokens("init_offset", "first keys that are no candidates")
                .with_default("0")
                .population_begin(),
            sdk::tokens("local_offset", "last keys that are no candidates")
                .with_default("0")
                .population_end_offset()}};
  }

  explicit OracleSampling(const sdk::Arguments& arguments)
      : budget_(arguments.tokens("budget")),
        init_offset_(arguments.tokens("init_offset")),
        local_offset_(arguments.tokens("local_offset")) {}

  void select_row(const sdk::Row& row) const override {
    const std::int64_t begin = std::min(row.resolve(init_offset_), row.key_len());
    const std::int64_t end =
        std::min(row.visible_len(), row.key_len() - row.resolve(local_offset_));
    const std::int64_t budget = row.resolve(budget_);
    if (begin >= end || budget <= 0) return;

    std::vector<float> scores(static_cast<std::size_t>(end - begin));
    row.products(begin, end, scores);
    const std::vector<std::uint64_t> active = row.active_bits();
    std::vector<std::int32_t> candidates;
    for (std::int64_t key = begin; key < end; ++key) {
      if ((active[static_cast<std::size_t>(key / 64)] >> (key % 64) & 1U) != 0) continue;
      scores[candidates.size()] = scores[static_cast<std::size_t>(key - begin)];
      candidates.push_back(static_cast<std::int32_t>(key));
    }
    if (candidates.empty()) return;
    scores.resize(candidates.size());
    std::vector<double> weights(candidates.size());
    row.host().exponentials(scores, double{row.call().scale},
                            *std::max_element(scores.begin(), scores.end()), weights);
    std::vector<double> sums(weights.size());  // of the weights up to each key
    double total = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) sums[i] = total += weights[i];

    std::vector<bool> is_drawn(candidates.size());
    std::size_t left = candidates.size();  // that no draw has taken
    for (std::int64_t draw = 0; draw < budget && left > 0; ++draw) {
      const double point = row.call().services->uniform(&row.call(), row.number(), 0, draw) * total;
      const auto place = static_cast<std::size_t>(
          std::upper_bound(sums.begin(), sums.end(), point) - sums.begin());
      const std::size_t taken = std::min(place, sums.size() - 1);
      if (!is_drawn[taken]) --left;
      is_drawn[taken] = true;
    }
    std::vector<std::int32_t> keys;
    std::vector<float> probabilities;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (!is_drawn[i]) continue;
      const double probability =
          -std::expm1(static_cast<double>(budget) * std::log1p(-weights[i] / total));
      keys.push_back(candidates[i]);
      probabilities.push_back(
          std::max(static_cast<float>(probability), std::numeric_limits<float>::min()));
    }
    row.add_keys(keys, probabilities);
  }

 private:
  sdk::Tokens budget_;
  sdk::Tokens init_offset_;
  sdk::Tokens local_offset_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(OracleSampling)
