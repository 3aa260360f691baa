#include <cmath>
#include <numeric>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

constexpr std::uint32_t kBaseDraw = 0;  // purposes of the two draws
constexpr std::uint32_t kSecondDraw = 1;

// The z that a standard normal number exceeds with probability `tail`, in (0, 1).
double normal_quantile(double tail) {
  double low = -40;
  double high = 40;
  while (low < std::midpoint(low, high) && std::midpoint(low, high) < high) {
    const double middle = std::midpoint(low, high);
    (std::erfc(middle / std::sqrt(2.0)) / 2 > tail ? low : high) = middle;
  }
  return high;
}

// vAttention (arXiv 2510.05688): a base sample estimates how much the keys' weights spread, and
// from that how many more keys a uniform draw needs for a relative error of epsilon with
// probability 1 - delta. The base becomes active with p = 1; only the second draw is weighted, by
// its p.
//
// The second draw takes b' = ceil(b / (1 + b / m)) of the m keys that remain, b = (z sigma m /
// (epsilon T))^2, within [min(base, m), m]. T is the estimated total (of weights, or the length of
// that of weighted values), sigma^2 = sum of y / (b0 - 1) over the base's b0 squared distances y
// from their mean, z = Phi^-1(1 - delta / 2).
// sigma: upper takes sigma^2 + Phi^-1(1 - delta / 2) sd(y) / sqrt(b0), an asymptotic upper
// confidence bound, and leaves the other half of delta to z.
class AdaptiveSampling final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {
        .id = "adaptive_sampling",
        .summary = "a uniform draw, as large as (epsilon, delta) asks; every head draws its own",
        .reference = "arXiv:2510.05688",
        .depends_on =
            sdk::kShape | sdk::kSeed | sdk::kQuery | sdk::kKey | sdk::kValue | sdk::kActive,
        .traits = MASKERADE_TRAIT_SAMPLES,
        .parameters = {
            sdk::share("epsilon", "relative error to keep").above(0).below(1).states_epsilon(),
            sdk::share("delta", "probability with which it may be exceeded")
                .above(0)
                .below(1)
                .with_default("5%")
                .states_delta(),
            sdk::tokens("base", "keys of the base sample, or their share of the candidates; >= 2")
                .with_default("5%"),
            sdk::tokens("init_offset", "first keys that are no candidates")
                .with_default("0")
                .population_begin(),
            sdk::tokens("local_offset", "last keys that are no candidates")
                .with_default("0")
                .population_end_offset(),
            sdk::choice("target", {"denominator", "output"},
                        "what the error is of: the softmax denominator, or the numerator too")
                .with_default("denominator"),
            sdk::choice("sigma", {"estimate", "upper"},
                        "the base's standard deviation, or an upper confidence bound of it")
                .with_default("estimate"),
            sdk::choice("one_sided", {"false", "true"},
                        "whether delta bounds the error in one direction only")
                .with_default("false")
                .waives_guarantee()}};
  }

  explicit AdaptiveSampling(const sdk::Arguments& arguments)
      : epsilon_(arguments.share("epsilon")),
        base_(arguments.tokens("base")),
        init_offset_(arguments.tokens("init_offset")),
        local_offset_(arguments.tokens("local_offset")),
        output_(arguments.choice("target") == "output"),
        upper_(arguments.choice("sigma") == "upper") {
    const double delta = arguments.share("delta") / (upper_ ? 2 : 1);
    sigma_quantile_ = normal_quantile(delta);
    // A one-sided bound with delta of 1/2 or more needs no key.
    quantile_ =
        std::max(0.0, normal_quantile(arguments.choice("one_sided") == "true" ? delta : delta / 2));
  }

  void select_row(const sdk::Row& row) const override {
    const std::int64_t begin = std::min(row.resolve(init_offset_), row.key_len());
    const std::int64_t end = std::max(begin, row.key_len() - row.resolve(local_offset_));
    std::vector<std::int32_t> keys = row.active_keys();  // the base sample follows
    const std::int64_t candidates = row.candidates(begin, end);
    const std::size_t statics = keys.size();
    const std::int64_t base_size = std::max<std::int64_t>(2, base_.of(candidates, candidates));
    const std::vector<std::int32_t> base = row.draw(kBaseDraw, begin, end, base_size);
    row.add_keys(base);
    const auto remaining = candidates - static_cast<std::int64_t>(base.size());
    if (remaining == 0) return;

    keys.insert(keys.end(), base.begin(), base.end());
    const std::vector<double> weights = weights_of(row, keys, statics);
    double need =
        keys_needed(std::vector<double>(keys.size(), 1.0), 1, weights, statics, remaining);
    if (output_) {
      const std::vector<double> values = values_of(row, keys);
      const auto dim = static_cast<std::size_t>(row.call().shape.head_dim);
      need = std::max(need, keys_needed(values, dim, weights, statics, remaining));
    }
    const std::int64_t draws =
        need < static_cast<double>(remaining)
            ? std::max(static_cast<std::int64_t>(std::ceil(need)), std::min(base_size, remaining))
            : remaining;
    const std::vector<std::int32_t> second = row.draw(kSecondDraw, begin, end, draws);
    const auto probability = static_cast<float>(draws) / static_cast<float>(remaining);
    row.add_keys(second, std::vector<float>(second.size(), probability));
  }

 private:
  // The weight of each key, exp(logit - the largest logit of the keys) / p. The first `statics`
  // keys were active before the base sample.
  static std::vector<double> weights_of(const sdk::Row& row,
                                        const std::vector<std::int32_t>& keys,
                                        std::size_t statics) {
    std::vector<float> scores(keys.size());
    sdk::require_ok(row.call().services->score_keys(&row.call(), row.number(), keys.data(),
                                                    keys.size(), scores.data()));
    std::vector<double> weights(keys.size());
    row.host().exponentials(scores, double{row.call().scale},
                            *std::max_element(scores.begin(), scores.end()), weights);
    std::vector<std::int32_t> sampled(statics);
    std::vector<float> probabilities(statics);
    sampled.resize(row.call().services->sampled_entries(&row.call(), row.number(), sampled.data(),
                                                        probabilities.data(), statics));
    for (std::size_t s = 0, i = 0; s < sampled.size(); ++s) {
      while (keys[i] != sampled[s]) ++i;
      weights[i] /= double{probabilities[s]};
    }
    return weights;
  }

  // The values of the keys, [keys][head_dim].
  static std::vector<double> values_of(const sdk::Row& row, const std::vector<std::int32_t>& keys) {
    const maskerade_matrix& v = row.call().v;
    const auto dim = static_cast<std::size_t>(row.call().shape.head_dim);
    const std::int64_t element = v.dtype == MASKERADE_FLOAT32 ? 4 : 2;
    std::vector<float> value(dim);
    std::vector<double> values;
    for (const std::int32_t key : keys) {
      row.host().to_float(v.dtype, row.value(key), dim, value.data());
      values.insert(values.end(), value.begin(), value.end());
    }
    row.call().services->count_work(&row.call(), 0,
                                    static_cast<std::int64_t>(keys.size() * dim) * element);
    return values;
  }

  // How many of the remaining keys must be drawn to estimate the total of weight * value. values:
  // [keys][dim]; the keys from `statics` on are the base sample.
  double keys_needed(const std::vector<double>& values,
                     std::size_t dim,
                     const std::vector<double>& weights,
                     std::size_t statics,
                     std::int64_t remaining) const {
    const auto count = static_cast<double>(weights.size() - statics);
    const auto m = static_cast<double>(remaining);
    std::vector<double> known(dim);
    std::vector<double> mean(dim);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      for (std::size_t d = 0; d < dim; ++d) {
        const double product = weights[i] * values[i * dim + d];
        known[d] += product;
        if (i >= statics) mean[d] += product / count;
      }
    }
    double squares = 0;  // of distances from the mean
    double fourth_powers = 0;
    for (std::size_t i = statics; i < weights.size(); ++i) {
      double square = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        square += std::pow(weights[i] * values[i * dim + d] - mean[d], 2);
      }
      squares += square;
      fourth_powers += square * square;
    }
    double variance = squares / (count - 1);
    if (upper_) {
      const double spread = std::max(0.0, fourth_powers - squares * squares / count) / (count - 1);
      variance += sigma_quantile_ * std::sqrt(spread / count);
    }
    double total = 0;
    for (std::size_t d = 0; d < dim; ++d) total += std::pow(known[d] + m * mean[d], 2);
    const double b = std::pow(quantile_ * m / epsilon_, 2) * variance / total;
    return variance == 0 ? 0 : m / (1 + m / b);  // = b / (1 + b / m), for any size of b
  }

  double epsilon_;
  double quantile_;        // of the estimate's error
  double sigma_quantile_;  // of sigma's error
  sdk::Tokens base_;
  sdk::Tokens init_offset_;
  sdk::Tokens local_offset_;
  bool output_;
  bool upper_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(AdaptiveSampling)
