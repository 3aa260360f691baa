#include "experiments/sources/structured.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "framework/base/philox.hpp"
#include "framework/tensor/owned_tensor.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kRowsPerItem = 256;
constexpr std::int64_t kRunTokens = 16;    // keys that share half of their content
constexpr double kNoise = 0.1;             // standard deviation of the noise in each element
constexpr double kSlowNorm = 4;            // length of a sink or hitter key in its pair
constexpr double kSinkValue = 0.05;        // size of a sink's value, where another key's is 1
constexpr double kOddsSpread = 0.5;        // log-standard deviation of a mass over heads
constexpr double kContrastSpread = 0.15;   // log-standard deviation of the contrast over heads
constexpr std::uint32_t kStream = 0x7374;  // of the RandomKey of every number here

enum class Purpose : std::uint32_t {
  kDirection,
  kRun,
  kKeyContent,
  kKeyNoise,
  kHitter,
  kValue,
  kHead,
  kQueryContent,
  kQueryNoise
};

// Which pairs of a vector hold what, and by which angles positions rotate them.
class Geometry {
 public:
  Geometry(const StructuredTraits& traits, std::int64_t head_dim)
      : pairs_(head_dim / 2), near_(0), angles_(static_cast<std::size_t>(pairs_)) {
    for (std::int64_t j = 0; j < pairs_; ++j) {
      angles_[static_cast<std::size_t>(j)] =
          std::pow(traits.rope_base, -static_cast<double>(j) / static_cast<double>(pairs_));
      if (angles_[static_cast<std::size_t>(j)] * static_cast<double>(traits.window) >= 1) ++near_;
    }
    // The last two pairs are those of hitters and sinks; at least two more stay for content.
    near_ = std::clamp<std::int64_t>(near_, 1, pairs_ - 4);
    content_ = std::min(std::max(near_, pairs_ * 5 / 8), pairs_ - 4);
    rank_ = std::min(traits.rank, 2 * content_pairs());
  }

  std::int64_t head_dim() const noexcept { return 2 * pairs_; }
  std::int64_t near_pairs() const noexcept { return near_; }
  std::int64_t content_pairs() const noexcept { return pairs_ - 2 - content_; }
  std::int64_t rank() const noexcept { return rank_; }
  std::size_t hitter_pair() const noexcept { return static_cast<std::size_t>(pairs_ - 2); }
  std::size_t sink_pair() const noexcept { return static_cast<std::size_t>(pairs_ - 1); }
  // The energy of a content direction of a key. The energies sum to head_dim / 2.
  double energy(std::int64_t direction) const noexcept {
    double sum = 0;
    for (std::int64_t i = 1; i <= rank_; ++i) sum += 1 / static_cast<double>(i);
    return static_cast<double>(pairs_) / sum / static_cast<double>(direction + 1);
  }
  // The logit that near pairs of amplitude 1 give at a distance in tokens: 1 at 0, about 0 far
  // away.
  double nearness(std::int64_t distance) const {
    double sum = 0;
    for (std::int64_t j = 0; j < near_; ++j) {
      sum += std::cos(angles_[static_cast<std::size_t>(j)] * static_cast<double>(distance));
    }
    return sum / static_cast<double>(near_);
  }
  // Rotates a vector [head_dim] to its position, in place.
  void rotate(std::int64_t position, std::vector<double>& vector) const {
    const auto pairs = static_cast<std::size_t>(pairs_);
    for (std::size_t j = 0; j < pairs; ++j) {
      const double angle = angles_[j] * static_cast<double>(position);
      const double cosine = std::cos(angle);
      const double sine = std::sin(angle);
      const double x = vector[j];
      const double y = vector[j + pairs];
      vector[j] = x * cosine - y * sine;
      vector[j + pairs] = x * sine + y * cosine;
    }
  }
  // The index in a vector of content dimension d.
  std::size_t content_element(std::int64_t d) const noexcept {
    const std::int64_t pair = content_ + d % content_pairs();
    return static_cast<std::size_t>(d < content_pairs() ? pair : pair + pairs_);
  }

 private:
  std::int64_t pairs_;
  std::int64_t near_;         // pairs [0, near_)
  std::int64_t content_ = 0;  // pairs [content_, pairs_ - 2)
  std::int64_t rank_ = 0;
  std::vector<double> angles_;  // per token
};

// Finds the amplitude of the near pairs with which all near keys together weigh a wanted multiple
// of an average far key.
class NearAmplitude {
 public:
  NearAmplitude(const Geometry& geometry, std::int64_t window, bool causal)
      : pairs_(static_cast<double>(geometry.near_pairs())) {
    std::vector<double> nearness;
    for (std::int64_t distance = causal ? 0 : 1 - window; distance < window; ++distance) {
      nearness.push_back(geometry.nearness(distance));
    }
    // Beyond 1.5 per pair the far ripples grow almost as fast as the near keys.
    for (int i = 0; i <= kSteps; ++i) {
      const double amplitude = 1.5 * pairs_ * i / kSteps;
      double sum = 0;
      for (const double g : nearness) sum += std::exp(amplitude * g);
      amplitudes_.push_back(amplitude);
      weights_.push_back(sum / std::exp(log_far_mean(amplitude)));
      // Rationale: weights that never fall can be searched for the amplitude of one.
      if (i > 0) weights_.back() = std::max(weights_.back(), weights_[weights_.size() - 2]);
    }
  }

  // ln of the mean of exp(amplitude * nearness) over far keys, whose phases are independent.
  double log_far_mean(double amplitude) const {
    return pairs_ * std::log(std::cyl_bessel_i(0.0, amplitude / pairs_));
  }

  // The amplitude for a wanted weight, in nats: the logit that a query gives its own position.
  double operator()(double weight) const {
    const auto above = std::lower_bound(weights_.begin(), weights_.end(), weight);
    if (above == weights_.begin()) return 0;
    if (above == weights_.end()) return amplitudes_.back();
    const auto i = static_cast<std::size_t>(above - weights_.begin());
    const double part = (weight - weights_[i - 1]) / (weights_[i] - weights_[i - 1]);
    return amplitudes_[i - 1] + part * (amplitudes_[i] - amplitudes_[i - 1]);
  }

 private:
  static constexpr int kSteps = 256;

  double pairs_;
  std::vector<double> amplitudes_;
  std::vector<double> weights_;
};

using Directions = std::vector<std::vector<double>>;  // [rank][head_dim], orthonormal

class Generator {
 public:
  Generator(const StructuredTraits& traits, const AttentionShape& shape, bool causal, float scale)
      : traits_(traits),
        shape_(shape),
        causal_(causal),
        scale_(scale),
        geometry_(traits, shape.head_dim),
        near_amplitude_(geometry_, std::min(traits.window, shape.key_len), causal) {
    for (std::int64_t h = 0; h < shape.kv_heads; ++h) directions_.push_back(make_directions(h));
    for (std::int64_t i = 0; i < geometry_.rank(); ++i) energies_.push_back(geometry_.energy(i));
  }

  // Fills k and v of keys [first, last) of one kv head.
  void make_keys(std::int64_t b,
                 std::int64_t h,
                 std::int64_t first,
                 std::int64_t last,
                 const OwnedTensor& k,
                 const OwnedTensor& v) const {
    const RandomField run = field(Purpose::kRun, b, h);
    const RandomField own = field(Purpose::kKeyContent, b, h);
    const RandomField noise = field(Purpose::kKeyNoise, b, h);
    const RandomField hitter = field(Purpose::kHitter, b, h);
    const RandomField values = field(Purpose::kValue, b, h);
    std::vector<double> key;
    for (std::int64_t j = first; j < last; ++j) {
      const bool is_sink = j < traits_.sinks;
      start(noise, j, key);
      if (is_sink) {
        key[geometry_.sink_pair()] += kSlowNorm;
      } else {
        for (std::int64_t pair = 0; pair < geometry_.near_pairs(); ++pair) key[index(pair)] += 1;
        if (hitter.uniform(row(j), 0) < traits_.hitters) key[geometry_.hitter_pair()] += kSlowNorm;
        for (std::size_t i = 0; i < energies_.size(); ++i) {
          const auto column = static_cast<std::uint32_t>(i);
          const double latent = std::sqrt(0.5) * (run.normal(row(j / kRunTokens), column) +
                                                  own.normal(row(j), column));
          add(std::sqrt(energies_[i]) * latent, directions_[index(h)][i], key);
        }
      }
      geometry_.rotate(j, key);
      store(key, b, h, j, k);
      for (std::size_t d = 0; d < key.size(); ++d) {
        key[d] =
            (is_sink ? kSinkValue : 1.0) * values.normal(row(j), static_cast<std::uint32_t>(d));
      }
      store(key, b, h, j, v);
    }
  }

  // Fills the queries [first, last) of one query head.
  void make_queries(std::int64_t b,
                    std::int64_t h,
                    std::int64_t first,
                    std::int64_t last,
                    std::span<const std::int64_t> positions,
                    const OwnedTensor& q) const {
    const RandomField head = field(Purpose::kHead, 0, h);
    const RandomField content = field(Purpose::kQueryContent, b, h);
    const RandomField noise = field(Purpose::kQueryNoise, b, h);
    const double rest =
        1 - traits_.sink_mass - traits_.local_mass - traits_.hitter_mass;  // the content's
    const auto odds = [&](double mass, std::uint32_t column) {
      return mass / rest * std::exp(kOddsSpread * head.normal(0, column));
    };
    const double sink_odds = odds(traits_.sink_mass, 0);
    const double local_odds = odds(traits_.local_mass, 1);
    const double hitter_odds = odds(traits_.hitter_mass, 2);
    const double contrast = traits_.contrast * std::exp(kContrastSpread * head.normal(0, 3));
    const double hitter_logit =
        traits_.hitters > 0 ? std::max(0.0, std::log(hitter_odds / traits_.hitters)) : 0;
    const Directions& directions = directions_[index(shape_.kv_head_of(h))];
    std::vector<double> query;
    std::vector<double> latent(energies_.size());
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t position = positions[index(i)];
      const auto visible = static_cast<double>(causal_ ? position + 1 : shape_.key_len);
      start(noise, position, query);
      const double near = near_amplitude_(local_odds * visible);
      for (std::int64_t pair = 0; pair < geometry_.near_pairs(); ++pair) {
        query[static_cast<std::size_t>(pair)] +=
            near / (scale_ * static_cast<double>(geometry_.near_pairs()));
      }
      double variance = 0;
      for (std::size_t r = 0; r < latent.size(); ++r) {
        latent[r] = content.normal(row(position), static_cast<std::uint32_t>(r));
        variance += energies_[r] * latent[r] * latent[r];
      }
      const double strength = contrast / (scale_ * std::sqrt(std::max(variance, 1e-12)));
      for (std::size_t r = 0; r < latent.size(); ++r) {
        add(strength * latent[r], directions[r], query);
      }
      query[geometry_.hitter_pair()] += hitter_logit / (scale_ * kSlowNorm);
      // The mean weight of a key that is neither near, nor a hitter, nor a sink.
      const double plain_log_weight = contrast * contrast / 2 + near_amplitude_.log_far_mean(near);
      query[geometry_.sink_pair()] +=
          sink_logit(sink_odds * visible, plain_log_weight) / (scale_ * kSlowNorm);
      geometry_.rotate(position, query);
      store(query, b, h, i, q);
    }
  }

 private:
  static std::uint64_t row(std::int64_t i) noexcept { return static_cast<std::uint64_t>(i); }
  static std::size_t index(std::int64_t i) noexcept { return static_cast<std::size_t>(i); }

  RandomField field(Purpose purpose, std::int64_t b, std::int64_t h) const noexcept {
    return RandomField({.seed = traits_.seed,
                        .stream = kStream,
                        .batch = static_cast<std::uint32_t>(b),
                        .head = static_cast<std::uint32_t>(h),
                        .purpose = static_cast<std::uint32_t>(purpose)});
  }

  // The logit with which all sinks together weigh as much as `plain_keys` plain keys, whose mean
  // weight is exp(plain_log_weight).
  double sink_logit(double plain_keys, double plain_log_weight) const {
    if (traits_.sinks == 0 || plain_keys <= 0) return 0;
    return std::max(0.0,
                    std::log(plain_keys / static_cast<double>(traits_.sinks)) + plain_log_weight);
  }

  void start(const RandomField& noise, std::int64_t i, std::vector<double>& vector) const {
    vector.resize(index(geometry_.head_dim()));
    for (std::size_t d = 0; d < vector.size(); ++d) {
      vector[d] = kNoise * noise.normal(row(i), static_cast<std::uint32_t>(d));
    }
  }

  static void add(double factor, const std::vector<double>& direction, std::vector<double>& to) {
    for (std::size_t d = 0; d < to.size(); ++d) to[d] += factor * direction[d];
  }

  static void store(const std::vector<double>& vector,
                    std::int64_t b,
                    std::int64_t h,
                    std::int64_t i,
                    const OwnedTensor& tensor) {
    const std::vector<float> values(vector.begin(), vector.end());
    tensor.store_row(b, h, i, values.data());
  }

  // The directions of the content of a kv head: random in the content dimensions, orthonormal by
  // Gram and Schmidt.
  Directions make_directions(std::int64_t h) const {
    const RandomField random = field(Purpose::kDirection, 0, h);
    Directions directions;
    for (std::int64_t i = 0; i < geometry_.rank(); ++i) {
      std::vector<double> direction(index(geometry_.head_dim()));
      for (std::int64_t d = 0; d < 2 * geometry_.content_pairs(); ++d) {
        direction[geometry_.content_element(d)] =
            random.normal(row(i), static_cast<std::uint32_t>(d));
      }
      for (const std::vector<double>& other : directions) {
        double along = 0;
        for (std::size_t d = 0; d < other.size(); ++d) along += other[d] * direction[d];
        add(-along, other, direction);
      }
      double norm = 0;
      for (const double x : direction) norm += x * x;
      for (double& x : direction) x /= std::sqrt(norm);
      directions.push_back(std::move(direction));
    }
    return directions;
  }

  StructuredTraits traits_;
  AttentionShape shape_;
  bool causal_;
  double scale_;
  Geometry geometry_;
  NearAmplitude near_amplitude_;
  std::vector<Directions> directions_;  // [kv_heads]
  std::vector<double> energies_;
};

// Cuts the rows of [batch, heads, length] into pieces within one head and calls body(batch, head,
// first row, end row) for each, on many threads.
void for_each_piece(
    const Threads& threads,
    std::int64_t batch,
    std::int64_t heads,
    std::int64_t length,
    const std::function<void(std::int64_t, std::int64_t, std::int64_t, std::int64_t)>& body) {
  const std::int64_t pieces = (length + kRowsPerItem - 1) / kRowsPerItem;
  threads.for_each(batch * heads * pieces, [&](std::int64_t item, int) {
    const std::int64_t matrix = item / pieces;
    const std::int64_t first = item % pieces * kRowsPerItem;
    body(matrix / heads, matrix % heads, first, std::min(first + kRowsPerItem, length));
  });
}

}  // namespace

QkvTensors structured_tensors(const StructuredTraits& traits,
                              const AttentionShape& shape,
                              DType dtype,
                              bool causal,
                              float scale,
                              std::span<const std::int64_t> positions,
                              const Threads& threads) {
  const Generator generator(traits, shape, causal, scale);
  const auto query_len = static_cast<std::int64_t>(positions.size());
  const OwnedTensor q =
      new_tensor(dtype, shape.batch, shape.query_heads, query_len, shape.head_dim);
  const OwnedTensor k =
      new_tensor(dtype, shape.batch, shape.kv_heads, shape.key_len, shape.head_dim);
  const OwnedTensor v =
      new_tensor(dtype, shape.batch, shape.kv_heads, shape.key_len, shape.head_dim);
  for_each_piece(threads, shape.batch, shape.kv_heads, shape.key_len,
                 [&](std::int64_t b, std::int64_t h, std::int64_t first, std::int64_t last) {
                   generator.make_keys(b, h, first, last, k, v);
                 });
  for_each_piece(threads, shape.batch, shape.query_heads, query_len,
                 [&](std::int64_t b, std::int64_t h, std::int64_t first, std::int64_t last) {
                   generator.make_queries(b, h, first, last, positions, q);
                 });
  return {q.finish(), k.finish(), v.finish()};
}

}  // namespace maskerade
