#include "experiments/sources/structured.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "experiments/sources/detail/mass_calibration.hpp"
#include "framework/base/philox.hpp"
#include "framework/select/stream_scores.hpp"
#include "framework/tensor/owned_tensor.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kKeysPerItem = 256;
constexpr std::int64_t kQueriesPerItem = 16;  // fewer, as each is calibrated on the keys it sees
constexpr std::int64_t kRunTokens = 16;       // keys that share half of their content
constexpr double kNoise = 0.1;                // standard deviation of the noise in each element
constexpr double kSlowNorm = 4;               // length of a sink or hitter key in its pair
constexpr double kSinkValue = 0.05;           // size of a sink's value, where another key's is 1
constexpr double kOddsSpread = 0.5;           // log-standard deviation of a mass over heads
constexpr double kContrastSpread = 0.15;      // log-standard deviation of the contrast over heads
constexpr double kMostNear = 8;               // nats that each near pair gives at most
constexpr int kAttempts = 4;                  // contents that a query tries
constexpr double kAcceptedMiss = 0.005;       // of a share, at which it takes one
constexpr int kAimRounds = 200;               // the last digits stand after fewer
constexpr std::uint32_t kStream = 0x7374;     // of the RandomKey of every number here

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

using Directions = std::vector<std::vector<double>>;  // [rank][head_dim], orthonormal

class Generator {
 public:
  Generator(const StructuredTraits& traits, const AttentionShape& shape, bool causal, float scale)
      : traits_(traits),
        shape_(shape),
        causal_(causal),
        scale_(scale),
        geometry_(traits, shape.head_dim),
        aims_(head_aims(traits, shape.query_heads)) {
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
    const RandomField values = field(Purpose::kValue, b, h);
    std::vector<double> key;
    for (std::int64_t j = first; j < last; ++j) {
      const bool is_sink = j < traits_.sinks;
      start(noise, j, key);
      if (is_sink) {
        key[geometry_.sink_pair()] += kSlowNorm;
      } else {
        for (std::int64_t pair = 0; pair < geometry_.near_pairs(); ++pair) key[index(pair)] += 1;
        if (is_hitter(b, h, j)) key[geometry_.hitter_pair()] += kSlowNorm;
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

  // Fills the queries [first, last) of one query head. Requires that make_keys() filled k.
  void make_queries(std::int64_t b,
                    std::int64_t h,
                    std::int64_t first,
                    std::int64_t last,
                    std::span<const std::int64_t> positions,
                    const TensorView& k,
                    const OwnedTensor& q) const {
    const std::vector<std::int32_t> hitters = hitters_of(b, shape_.kv_head_of(h));
    MassCalibration calibration(kMostNear * static_cast<double>(geometry_.near_pairs()));
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t position = positions[index(i)];
      store(make_query(b, h, position, k, hitters, calibration), b, h, i, q);
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

  // The keys of a kv head that draw every query of its group, sorted.
  std::vector<std::int32_t> hitters_of(std::int64_t b, std::int64_t kv_head) const {
    std::vector<std::int32_t> hitters;
    for (std::int64_t j = traits_.sinks; j < shape_.key_len; ++j) {
      if (is_hitter(b, kv_head, j)) hitters.push_back(static_cast<std::int32_t>(j));
    }
    return hitters;
  }

  bool is_hitter(std::int64_t b, std::int64_t kv_head, std::int64_t j) const {
    return field(Purpose::kHitter, b, kv_head).uniform(row(j), 0) < traits_.hitters;
  }

  // The keys that a query at a position sees, by what draws it to them.
  KeyGroups groups_at(std::int64_t position,
                      std::int64_t visible,
                      const std::vector<std::int32_t>& hitters) const {
    const std::int64_t sinks = std::min(traits_.sinks, visible);
    const std::int64_t begin = std::clamp(position - traits_.window + 1, sinks, visible);
    const std::int64_t end = std::clamp(position + (causal_ ? 1 : traits_.window), begin, visible);
    const auto seen = std::lower_bound(hitters.begin(), hitters.end(), visible);
    return {.sinks = sinks,
            .near_begin = begin,
            .near_end = end,
            .hitters = {hitters.data(), static_cast<std::size_t>(seen - hitters.begin())}};
  }

  // The logits [queries.size(), visible] that vectors in the place of a query of head h give the
  // first keys.
  std::vector<float> logits_of(const std::vector<std::vector<double>>& queries,
                               std::int64_t b,
                               std::int64_t h,
                               std::int64_t visible,
                               const TensorView& k) const {
    std::vector<float> scaled;
    for (const std::vector<double>& query : queries) {
      for (const double x : query) scaled.push_back(static_cast<float>(scale_ * x));
    }
    std::vector<float> logits(queries.size() * index(visible));
    stream_scores(scaled.data(), geometry_.head_dim(), static_cast<int>(queries.size()), k, b,
                  shape_.kv_head_of(h), 0, visible, logits.data(), visible);
    return logits;
  }

  // The noise and the content of a query, rotated to its position.
  std::vector<double> query_content(std::int64_t b,
                                    std::int64_t h,
                                    std::int64_t position,
                                    int attempt) const {
    const RandomField content = field(Purpose::kQueryContent, b, h);
    const double contrast =
        traits_.contrast * std::exp(kContrastSpread * field(Purpose::kHead, 0, h).normal(0, 3));
    const Directions& directions = directions_[index(shape_.kv_head_of(h))];
    std::vector<double> query;
    start(field(Purpose::kQueryNoise, b, h), position, query);
    std::vector<double> latent(energies_.size());
    double variance = 0;
    for (std::size_t r = 0; r < latent.size(); ++r) {
      latent[r] = content.normal(row(position),
                                 static_cast<std::uint32_t>(r + index(attempt) * latent.size()));
      variance += energies_[r] * latent[r] * latent[r];
    }
    const double strength = contrast / (scale_ * std::sqrt(std::max(variance, 1e-12)));
    for (std::size_t r = 0; r < latent.size(); ++r) {
      add(strength * latent[r], directions[r], query);
    }
    geometry_.rotate(position, query);
    return query;
  }

  // What a strength of 1 adds to a query at a position: its logit of a hitter and of the key at its
  // own position grows by 1, as does that of the first key, at any distance.
  std::vector<std::vector<double>> draws_at(std::int64_t position) const {
    std::vector<std::vector<double>> draws(3, std::vector<double>(index(geometry_.head_dim())));
    draws[0][geometry_.sink_pair()] = 1 / (scale_ * kSlowNorm);
    for (std::int64_t pair = 0; pair < geometry_.near_pairs(); ++pair) {
      draws[1][index(pair)] = 1 / (scale_ * static_cast<double>(geometry_.near_pairs()));
    }
    draws[2][geometry_.hitter_pair()] = 1 / (scale_ * kSlowNorm);
    geometry_.rotate(position, draws[1]);
    geometry_.rotate(position, draws[2]);
    return draws;
  }

  std::vector<double> make_query(std::int64_t b,
                                 std::int64_t h,
                                 std::int64_t position,
                                 const TensorView& k,
                                 const std::vector<std::int32_t>& hitters,
                                 MassCalibration& calibration) const {
    const std::int64_t visible = causal_ ? position + 1 : shape_.key_len;
    if (visible <= 0) return query_content(b, h, position, 0);
    const KeyGroups groups = groups_at(position, visible, hitters);
    const std::vector<std::vector<double>> draws = draws_at(position);
    const std::vector<float> drawn = logits_of(draws, b, h, visible, k);
    const auto drawn_by = [&](std::size_t group) {
      return std::span(drawn).subspan(group * index(visible), index(visible));
    };
    std::vector<double> best;
    double least_miss = std::numeric_limits<double>::infinity();
    for (int attempt = 0; attempt < kAttempts && least_miss > kAcceptedMiss; ++attempt) {
      std::vector<double> query = query_content(b, h, position, attempt);
      const std::vector<float> content = logits_of({query}, b, h, visible, k);
      const CalibratedQuery found = calibration.calibrate(
          {content, drawn_by(0), drawn_by(1), drawn_by(2)}, groups, aims_[index(h)]);
      if (found.miss >= least_miss) continue;
      least_miss = found.miss;
      add(rounded(found.strengths.sink), draws[0], query);
      add(rounded(found.strengths.near), draws[1], query);
      add(rounded(found.strengths.hitter), draws[2], query);
      best = std::move(query);
    }
    return best;
  }

  // Rationale: exponentials differ in their last bits from one instruction set to another; the
  // numbers of a query shall not.
  static double rounded(double strength) { return std::round(strength * 1024) / 1024; }

  // The shares that each query head aims at. Heads draw odds for the three groups; common factors
  // then bring the means over heads to what is asked for.
  std::vector<PerGroup> head_aims(const StructuredTraits& traits, std::int64_t heads) const {
    const std::array<double, 3> asked = {traits.sink_mass, traits.local_mass, traits.hitter_mass};
    std::vector<std::array<double, 3>> odds(index(heads));
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::uint32_t g = 0; g < 3; ++g) {
        odds[index(h)][g] =
            asked[g] * std::exp(kOddsSpread * field(Purpose::kHead, 0, h).normal(0, g));
      }
    }
    const double rest = 1 - asked[0] - asked[1] - asked[2];
    std::vector<PerGroup> aims(index(heads));
    std::array<double, 3> factors = {1, 1, 1};
    for (int round = 0; round < kAimRounds; ++round) {
      std::array<double, 3> means = {};
      for (std::size_t h = 0; h < aims.size(); ++h) {
        std::array<double, 3> shares = {};
        double sum = rest;
        for (std::size_t g = 0; g < 3; ++g) sum += shares[g] = factors[g] * odds[h][g];
        for (std::size_t g = 0; g < 3; ++g) {
          shares[g] /= sum;
          means[g] += shares[g] / static_cast<double>(heads);
        }
        aims[h] = {.sink = shares[0], .near = shares[1], .hitter = shares[2]};
      }
      for (std::size_t g = 0; g < 3; ++g) {
        if (means[g] > 0) factors[g] *= asked[g] / means[g];
      }
    }
    return aims;
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
  std::vector<PerGroup> aims_;          // [query_heads]
  std::vector<Directions> directions_;  // [kv_heads]
  std::vector<double> energies_;
};

// Cuts the rows of [batch, heads, length] into pieces of `rows` within one head and calls
// body(batch, head, first row, end row) for each, on many threads.
void for_each_piece(
    const Threads& threads,
    std::int64_t rows,
    std::int64_t batch,
    std::int64_t heads,
    std::int64_t length,
    const std::function<void(std::int64_t, std::int64_t, std::int64_t, std::int64_t)>& body) {
  const std::int64_t pieces = (length + rows - 1) / rows;
  threads.for_each(batch * heads * pieces, [&](std::int64_t item, int) {
    const std::int64_t matrix = item / pieces;
    const std::int64_t first = item % pieces * rows;
    body(matrix / heads, matrix % heads, first, std::min(first + rows, length));
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
  for_each_piece(threads, kKeysPerItem, shape.batch, shape.kv_heads, shape.key_len,
                 [&](std::int64_t b, std::int64_t h, std::int64_t first, std::int64_t last) {
                   generator.make_keys(b, h, first, last, k, v);
                 });
  for_each_piece(threads, kQueriesPerItem, shape.batch, shape.query_heads, query_len,
                 [&](std::int64_t b, std::int64_t h, std::int64_t first, std::int64_t last) {
                   generator.make_queries(b, h, first, last, positions, k.view, q);
                 });
  return {q.finish(), k.finish(), v.finish()};
}

}  // namespace maskerade
