#include <cmath>
#include <numbers>
#include <unordered_map>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// MagicPIG (arXiv 2410.16179): hash tables over signs of random projections draw a key with a
// probability that grows with the cosine of query and key. The angle theta between their transforms
// gives each table's chance c = (1 - theta / pi)^bits, and those of `tables` tables the probability
// that at least min_matches of them agree.
//
// transform cosine: the mean key is subtracted from each key, as the authors do; it adds the same
// to every logit of a row, which the softmax cancels. simple_lsh: the key gets one more coordinate,
// sqrt(M^2 - |k|^2), M the largest norm, and the query a 0.
class MagicPig final : public sdk::RowMasker {
 public:
  // Buckets of keys, in ascending order, by the bits of a table; mean and M are those of the build.
  struct Index {
    std::vector<std::unordered_map<std::uint64_t, std::vector<std::int32_t>>> tables;
    std::vector<double> norms;  // of the transformed keys
    std::vector<float> centre;
    double largest_norm = 0;
    std::int64_t built = 0;  // keys of the build
  };
  static constexpr bool kIndexSpansFuture = true;

  static sdk::Description describe() {
    return {.id = "magic_pig",
            .summary = "keys that share hash buckets with the query, for every head by itself",
            .reference = "arXiv:2410.16179",
            .depends_on = sdk::kShape | sdk::kSeed | sdk::kQuery | sdk::kKey | sdk::kActive,
            .traits = MASKERADE_TRAIT_SAMPLES,
            .parameters = {
                sdk::count("tables", "hash tables")
                    .at_least(1)
                    .at_most(4096)
                    .with_default("150")
                    .affects_index(),
                sdk::count("bits", "sign bits of a table's hash")
                    .at_least(1)
                    .at_most(64)
                    .with_default("10")
                    .affects_index(),
                sdk::choice("transform", {"cosine", "simple_lsh"},
                            "what is hashed: centred keys, or keys completed to one length")
                    .with_default("cosine")
                    .affects_index(),
                sdk::count("min_matches", "tables that must agree: 2 (the paper) or 1")
                    .at_least(1)
                    .at_most(2)
                    .with_default("2"),
                sdk::choice("new_keys", {"hashed", "exact"},
                            "keys appended after the build: hashed like the others, or all active")
                    .with_default("hashed"),
                sdk::tokens("init_offset", "first keys that are no candidates")
                    .with_default("0")
                    .population_begin(),
                sdk::tokens("local_offset", "last keys that are no candidates")
                    .with_default("0")
                    .population_end_offset()}};
  }

  explicit MagicPig(const sdk::Arguments& arguments)
      : tables_(static_cast<std::size_t>(arguments.count("tables"))),
        bits_(static_cast<std::size_t>(arguments.count("bits"))),
        simple_lsh_(arguments.choice("transform") == "simple_lsh"),
        min_matches_(static_cast<int>(arguments.count("min_matches"))),
        exact_new_keys_(arguments.choice("new_keys") == "exact"),
        init_offset_(arguments.tokens("init_offset")),
        local_offset_(arguments.tokens("local_offset")),
        dim_(static_cast<std::size_t>(arguments.shape().head_dim) + (simple_lsh_ ? 1 : 0)) {
    if (min_matches_ == 2 && tables_ == 1) {
      throw std::runtime_error(
          "min_matches is 2, but there is 1 table; give at least 2 tables, or min_matches 1");
    }
    projections_.resize(tables_ * bits_ * dim_);
    arguments.host().normals(0, 0, projections_);
  }

  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    auto index = std::make_unique<Index>();
    index->tables.resize(tables_);
    index->built = span.key_end;
    const auto head_dim = static_cast<std::size_t>(span.head_dim);
    std::vector<double> sums(head_dim);
    std::vector<float> key(head_dim);
    for (std::int64_t j = span.key_begin; j < span.key_end; ++j) {
      load_key(span, j, key);
      double square = 0;
      for (std::size_t d = 0; d < head_dim; ++d) {
        sums[d] += key[d];
        square += double{key[d]} * key[d];
      }
      index->largest_norm = std::max(index->largest_norm, std::sqrt(square));
    }
    index->centre.resize(head_dim);
    for (std::size_t d = 0; d < head_dim && !simple_lsh_ && span.key_end > 0; ++d) {
      index->centre[d] = static_cast<float>(sums[d] / static_cast<double>(span.key_end));
    }
    append(*index, span);
    return index;
  }

  void append(Index& index, const maskerade_key_span& span) const {
    const auto head_dim = static_cast<std::size_t>(span.head_dim);
    const auto together = static_cast<std::size_t>(
        std::clamp<std::int64_t>(span.key_end - span.key_begin, 1, kTogether));
    std::vector<float> keys(together * dim_);
    std::vector<float> products(projections_.size() / dim_ * together);
    std::vector<std::uint64_t> codes(together);
    for (std::int64_t first = span.key_begin; first < span.key_end; first += kTogether) {
      const auto count = static_cast<std::size_t>(std::min(kTogether, span.key_end - first));
      for (std::size_t j = 0; j < count; ++j) {
        const std::span<float> key(&keys[j * dim_], dim_);
        load_key(span, first + static_cast<std::int64_t>(j), key.first(head_dim));
        double square = 0;
        for (std::size_t d = 0; d < head_dim; ++d) {
          key[d] -= index.centre[d];
          square += double{key[d]} * key[d];
        }
        const double missing = std::max(0.0, std::pow(index.largest_norm, 2) - square);
        if (simple_lsh_) key.back() = static_cast<float>(std::sqrt(missing));
        index.norms.push_back(std::sqrt(simple_lsh_ ? square + missing : square));
      }
      sdk::Host(span.host).multiply_rows(projections_, keys.data(), static_cast<std::int64_t>(dim_),
                                         count, dim_, products.data());
      for (std::size_t table = 0; table < tables_; ++table) {
        hash(products.data(), table, {codes.data(), count});
        for (std::size_t j = 0; j < count; ++j) {
          index.tables[table][codes[j]].push_back(static_cast<std::int32_t>(first) +
                                                  static_cast<std::int32_t>(j));
        }
      }
    }
  }

  void truncate(Index& index, std::int64_t key_end) const {
    for (auto& table : index.tables) {
      for (auto& [bits, keys] : table) {
        keys.erase(std::lower_bound(keys.begin(), keys.end(), key_end), keys.end());
      }
      std::erase_if(table, [](const auto& bucket) { return bucket.second.empty(); });
    }
    index.norms.resize(static_cast<std::size_t>(key_end));
    index.built = std::min(index.built, key_end);
  }

  std::size_t size_bytes(const Index& index) const {
    std::size_t buckets = 0;
    for (const auto& table : index.tables) buckets += table.size();
    return buckets * sizeof(std::pair<std::uint64_t, std::vector<std::int32_t>>) +
           index.norms.size() * (tables_ * sizeof(std::int32_t) + sizeof(double)) +
           index.centre.size() * sizeof(float);
  }

  void select_row(const sdk::Row& row) const override {
    const Index& index = row.index<Index>();
    const std::int64_t begin = row.resolve(init_offset_);
    std::int64_t end = std::min(row.visible_len(), row.key_len() - row.resolve(local_offset_));
    if (exact_new_keys_) {
      row.add_range(index.built, row.key_len());
      end = std::min(end, index.built);
    }
    if (begin >= end) return;

    const std::span<const float> query = row.query_vector();
    std::vector<float> transformed(query.begin(), query.end());
    transformed.resize(dim_);
    std::vector<float> products(projections_.size() / dim_);
    row.host().multiply_rows(transformed, projections_.data(), static_cast<std::int64_t>(dim_),
                             products.size(), dim_, products.data());
    std::vector<std::uint32_t> matches(static_cast<std::size_t>(end));
    std::int64_t entries = 0;
    for (std::size_t table = 0; table < tables_; ++table) {
      std::uint64_t code = 0;
      hash(products.data(), table, {&code, 1});
      const auto bucket = index.tables[table].find(code);
      if (bucket == index.tables[table].end()) continue;
      for (const std::int32_t key : bucket->second) {
        if (key >= end) break;
        ++matches[static_cast<std::size_t>(key)];
        ++entries;
      }
    }

    const std::vector<std::uint64_t> active = row.active_bits();
    std::vector<std::int32_t> keys;
    for (std::int64_t key = begin; key < end; ++key) {
      const auto at = static_cast<std::size_t>(key);
      if (matches[at] < static_cast<std::uint32_t>(min_matches_)) continue;
      if ((active[at / 64] >> (at % 64) & 1U) == 0) keys.push_back(static_cast<std::int32_t>(key));
    }
    std::vector<float> scores(keys.size());
    sdk::require_ok(row.call().services->score_keys(&row.call(), row.number(), keys.data(),
                                                    keys.size(), scores.data()));
    double query_square = 0;
    double centre_product = 0;
    for (std::size_t d = 0; d < query.size(); ++d) {
      query_square += double{query[d]} * query[d];
      centre_product += double{query[d]} * index.centre[d];
    }
    std::vector<float> probabilities;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const double lengths =
          std::sqrt(query_square) * index.norms[static_cast<std::size_t>(keys[i])];
      probabilities.push_back(
          inclusion(lengths > 0 ? (double{scores[i]} - centre_product) / lengths : 0));
    }
    row.add_keys(keys, probabilities);
    row.call().services->count_work(&row.call(), 0,
                                    entries * static_cast<std::int64_t>(sizeof(std::int32_t)));
  }

 private:
  static constexpr std::int64_t kTogether = 1024;  // keys hashed at once

  static void load_key(const maskerade_key_span& span, std::int64_t key, std::span<float> target) {
    const std::int64_t element = span.dtype == MASKERADE_FLOAT32 ? 4 : 2;
    const std::int64_t offset = (key - span.key_begin) * span.key_row_stride;
    sdk::Host(span.host).to_float(span.dtype,
                                  static_cast<const std::byte*>(span.keys) + offset * element,
                                  target.size(), target.data());
  }

  // The bucket of each key in a table: the signs of its products, [tables * bits][codes.size()].
  void hash(const float* products, std::size_t table, std::span<std::uint64_t> codes) const {
    std::fill(codes.begin(), codes.end(), 0);
    for (std::size_t bit = 0; bit < bits_; ++bit) {
      const float* of_bit = products + (table * bits_ + bit) * codes.size();
      for (std::size_t j = 0; j < codes.size(); ++j) {
        codes[j] |= std::uint64_t{of_bit[j] >= 0.0F} << bit;
      }
    }
  }

  // The probability that a key with this cosine is taken. The subtraction for two matches loses a
  // share below 4e-16 / (tables * c) of the result, which does not matter for keys that are ever
  // taken.
  float inclusion(double cosine) const {
    const double angle = std::acos(std::clamp(cosine, -1.0, 1.0));
    const auto tables = static_cast<double>(tables_);
    const double log_one = static_cast<double>(bits_) * std::log1p(-angle / std::numbers::pi);
    const double log_none =
        std::log1p(-std::exp(log_one));  // log of the chance that one table disagrees
    double probability = -std::expm1(tables * log_none);
    if (min_matches_ == 2) probability -= tables * std::exp(log_one + (tables - 1) * log_none);
    return std::max(static_cast<float>(probability), std::numeric_limits<float>::min());
  }

  std::size_t tables_;
  std::size_t bits_;
  bool simple_lsh_;
  int min_matches_;
  bool exact_new_keys_;
  sdk::Tokens init_offset_;
  sdk::Tokens local_offset_;
  std::size_t dim_;                 // length of the transformed vectors
  std::vector<float> projections_;  // [tables * bits][dim]
};

}  // namespace

MASKERADE_EXPORT_MASKER(MagicPig)
