#include <cmath>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// SOCKET (arXiv 2602.06283), soft collisions: signs of random projections put every key into one
// bucket per table; the query falls into all of them, softly. score = |v| times the sum over the
// tables of the query's probability of the key's bucket.
//
// The query's probabilities are a softmax over the 2^bits corners c of c . t / temperature, with
// t = tanh(q.w) / sqrt(head_dim) of the table's projections w. This is a product over the bits: the
// probability that a bit is 1 is the logistic function of 2 t / temperature.
class Socket final : public sdk::ScoreMasker {
 public:
  struct Index {
    std::vector<std::vector<std::uint16_t>> buckets;  // [tables][keys]
    std::vector<float> lengths;                       // of the values
  };
  static constexpr bool kIndexSpansFuture = false;
  static constexpr bool kAppendIsBuild = true;

  static sdk::Description describe() {
    return {
        .id = "socket",
        .summary = "the keys whose buckets the query shares most, weighted by their values' length",
        .reference = "arXiv:2602.06283",
        .depends_on =
            sdk::kShape | sdk::kSeed | sdk::kQuery | sdk::kKey | sdk::kValue | sdk::kActive,
        .parameters =
            sdk::budget_table({sdk::count("bits_per_table", "projections of a table")
                                   .at_least(1)
                                   .at_most(16)
                                   .with_default("4")
                                   .affects_index(),
                               sdk::count("tables", "hash tables")
                                   .at_least(1)
                                   .at_most(4096)
                                   .with_default("1")
                                   .affects_index(),
                               sdk::number("temperature", "of the query's softmax over buckets")
                                   .above(0)
                                   .with_default("0.3")})};
  }

  explicit Socket(const sdk::Arguments& arguments)
      : ScoreMasker(arguments),
        bits_(static_cast<std::size_t>(arguments.count("bits_per_table"))),
        tables_(static_cast<std::size_t>(arguments.count("tables"))),
        temperature_(arguments.number("temperature")),
        dim_(static_cast<std::size_t>(arguments.shape().head_dim)),
        projections_(tables_ * bits_ * dim_) {
    arguments.host().normals(0, 0, projections_);
  }

  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    auto index = std::make_unique<Index>();
    index->buckets.resize(tables_);
    append(*index, span);
    return index;
  }
  void append(Index& index, const maskerade_key_span& span) const {
    const sdk::KeySpan keys(span);
    keys.for_each_chunk([&](std::int64_t first, std::int64_t last) {
      const auto count = static_cast<std::size_t>(last - first);
      const std::vector<float> products = project(keys.host(), keys.keys(first, last));
      for (std::size_t table = 0; table < tables_; ++table) {
        for (std::size_t key = 0; key < count; ++key) {
          unsigned bucket = 0;
          for (std::size_t bit = 0; bit < bits_; ++bit) {
            const float product = products[key * tables_ * bits_ + table * bits_ + bit];
            bucket |= unsigned{product >= 0.0F} << bit;
          }
          index.buckets[table].push_back(static_cast<std::uint16_t>(bucket));
        }
      }
      const std::vector<float> values = keys.values(first, last);
      for (std::size_t value = 0; value < values.size(); value += dim_) {
        double square = 0;
        for (std::size_t d = 0; d < dim_; ++d)
          square += double{values[value + d]} * values[value + d];
        index.lengths.push_back(static_cast<float>(std::sqrt(square)));
      }
    });
  }
  void truncate(Index& index, std::int64_t key_end) const {
    for (auto& buckets : index.buckets) buckets.resize(static_cast<std::size_t>(key_end));
    index.lengths.resize(static_cast<std::size_t>(key_end));
  }
  std::size_t size_bytes(const Index& index) const { return index.lengths.size() * bytes_of_key(); }

  void score_keys(const sdk::Row& row, std::span<float> scores) const override {
    const Index& index = row.index<Index>();
    const std::vector<float> products = project(row.host(), row.query_vector());
    // Rationale: there may be far more buckets than keys. Both ways multiply in the same order.
    const std::size_t bucket_count = std::size_t{1} << bits_;
    const bool takes_every_bucket = bucket_count <= scores.size() * bits_;
    std::vector<float> probabilities(takes_every_bucket ? bucket_count : 0);
    std::fill(scores.begin(), scores.end(), 0.0F);
    for (std::size_t table = 0; table < tables_; ++table) {
      const std::vector<SideOdds> odds = odds_of(&products[table * bits_]);
      const std::uint16_t* buckets = index.buckets[table].data();
      if (takes_every_bucket) of_buckets(odds, probabilities);
      for (std::size_t j = 0; j < scores.size(); ++j) {
        scores[j] += takes_every_bucket ? probabilities[buckets[j]] : of_bucket(odds, buckets[j]);
      }
    }
    for (std::size_t j = 0; j < scores.size(); ++j) scores[j] *= index.lengths[j];
    const auto keys = static_cast<std::int64_t>(scores.size());
    row.call().services->count_work(&row.call(), keys,
                                    keys * static_cast<std::int64_t>(bytes_of_key()));
  }

 private:
  // Products of vectors [n][dim] with the projections: [n][tables * bits].
  std::vector<float> project(const sdk::Host& host, std::span<const float> vectors) const {
    std::vector<float> products(vectors.size() / dim_ * tables_ * bits_);
    host.multiply_rows(vectors, projections_.data(), static_cast<std::int64_t>(dim_),
                       tables_ * bits_, dim_, products.data());
    return products;
  }

  // The query's probabilities of either side of one projection.
  struct SideOdds {
    double set;
    double clear;
  };
  std::vector<SideOdds> odds_of(const float* products) const {
    std::vector<SideOdds> odds;
    for (std::size_t bit = 0; bit < bits_; ++bit) {
      const double t = std::tanh(double{products[bit]}) / std::sqrt(static_cast<double>(dim_));
      odds.push_back({.set = 1.0 / (1.0 + std::exp(-2.0 * t / temperature_)),
                      .clear = 1.0 / (1.0 + std::exp(2.0 * t / temperature_))});
    }
    return odds;
  }
  // The query's probability of a bucket of a table.
  static float of_bucket(std::span<const SideOdds> odds, unsigned bucket) {
    double exact = 1.0;
    for (std::size_t bit = 0; bit < odds.size(); ++bit) {
      exact *= (bucket >> bit & 1U) != 0 ? odds[bit].set : odds[bit].clear;
    }
    return static_cast<float>(exact);
  }
  // Those of all buckets.
  static void of_buckets(std::span<const SideOdds> odds, std::span<float> probabilities) {
    std::vector<double> exact = {1.0};
    for (const SideOdds& side : odds) {
      const std::size_t half = exact.size();
      for (std::size_t bucket = 0; bucket < half; ++bucket) {
        exact.push_back(exact[bucket] * side.set);
      }
      for (std::size_t bucket = 0; bucket < half; ++bucket) exact[bucket] *= side.clear;
    }
    std::transform(exact.begin(), exact.end(), probabilities.begin(),
                   [](double p) { return static_cast<float>(p); });
  }

  std::size_t bytes_of_key() const { return tables_ * sizeof(std::uint16_t) + sizeof(float); }

  std::size_t bits_;
  std::size_t tables_;
  double temperature_;
  std::size_t dim_;
  std::vector<float> projections_;  // [tables * bits][dim]
};

}  // namespace

MASKERADE_EXPORT_MASKER(Socket)
