#include <cmath>
#include <limits>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// PQCache (arXiv 2407.12820): keys cut into sub-vectors, each replaced by the nearest of 2^bits
// centroids that k-means found among the keys of the build, per kv head. A key's score is the sum
// over the sub-vectors of q_sub . centroid. Appended keys go to the nearest centroid.
//
// metric ip: before clustering each sub-vector gets one more component, sqrt(max(0, M^2 - |k|^2)),
// M the largest norm among the keys of the build. Sub-vectors that are then near each other have
// similar products with any query.
class PqCache final : public sdk::ScoreMasker {
 public:
  struct Codebook {
    double largest_square = 0;        // M^2
    std::vector<float> centroids;     // [count][width]
    std::vector<std::uint8_t> codes;  // [keys - first]
  };
  struct Index {
    std::int64_t first = 0;           // the first candidate
    std::vector<Codebook> codebooks;  // [sub_vectors]
  };
  static constexpr bool kIndexSpansFuture = true;  // the centroids of all keys

  static sdk::Description describe() {
    return {.id = "pq_cache",
            .summary = "the keys with the largest product of the query and their quantised form",
            .reference = "arXiv:2407.12820",
            .depends_on = sdk::kShape | sdk::kSeed | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = sdk::budget_table(
                {sdk::count("sub_vectors", "parts of a key; they divide head_dim")
                     .at_least(1)
                     .with_default("2")
                     .affects_index(),
                 sdk::count("bits", "of a part's code: 2^bits centroids")
                     .at_least(1)
                     .at_most(8)
                     .with_default("6")
                     .affects_index(),
                 sdk::count("iterations", "of k-means, at most").with_default("10").affects_index(),
                 sdk::choice("metric", {"euclidean", "ip"},
                             "of k-means: distance of keys, or of keys completed to one length")
                     .with_default("euclidean")
                     .affects_index(),
                 sdk::tokens("init_offset", "first keys that are neither coded nor candidates")
                     .with_default("0")
                     .affects_index()})};
  }

  explicit PqCache(const sdk::Arguments& arguments)
      : ScoreMasker(arguments),
        sub_vectors_(static_cast<std::size_t>(arguments.count("sub_vectors"))),
        centroids_(std::size_t{1} << arguments.count("bits")),
        iterations_(arguments.count("iterations")),
        ip_(arguments.choice("metric") == "ip"),
        init_offset_(arguments.tokens("init_offset")),
        dim_(static_cast<std::size_t>(arguments.shape().head_dim) / sub_vectors_),
        width_(dim_ + (ip_ ? 1 : 0)) {
    if (dim_ * sub_vectors_ != static_cast<std::size_t>(arguments.shape().head_dim)) {
      throw std::runtime_error("sub_vectors is " + std::to_string(sub_vectors_) +
                               ", which does not divide a head_dim of " +
                               std::to_string(arguments.shape().head_dim));
    }
  }

  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    const sdk::KeySpan keys(span);
    auto index = std::make_unique<Index>();
    index->first = init_offset_.of(keys.end(), keys.end());
    const std::int64_t first = std::min(index->first, keys.end());
    const std::vector<float> widened = keys.keys(first, keys.end());
    for (std::size_t sub = 0; sub < sub_vectors_; ++sub) {
      Codebook& codebook = index->codebooks.emplace_back();
      for (const double square : squares(widened, sub)) {
        codebook.largest_square = std::max(codebook.largest_square, square);
      }
      cluster(keys.host(), static_cast<std::uint32_t>(sub), parts(widened, sub, codebook),
              codebook);
    }
    return index;
  }
  void append(Index& index, const maskerade_key_span& span) const {
    const sdk::KeySpan keys(span);
    const std::int64_t first = std::max(keys.begin(), index.first);
    if (first >= keys.end()) return;
    const std::vector<float> widened = keys.keys(first, keys.end());
    for (std::size_t sub = 0; sub < sub_vectors_; ++sub) {
      Codebook& codebook = index.codebooks[sub];
      const std::vector<std::uint8_t> codes =
          nearest(keys.host(), parts(widened, sub, codebook), codebook);
      codebook.codes.insert(codebook.codes.end(), codes.begin(), codes.end());
    }
  }
  void truncate(Index& index, std::int64_t key_end) const {
    for (Codebook& codebook : index.codebooks) {
      codebook.codes.resize(
          static_cast<std::size_t>(std::max<std::int64_t>(key_end - index.first, 0)));
    }
  }
  std::size_t size_bytes(const Index& index) const {
    std::size_t bytes = 0;
    for (const Codebook& codebook : index.codebooks) {
      bytes += codebook.centroids.size() * sizeof(float) + codebook.codes.size();
    }
    return bytes;
  }

  void score_keys(const sdk::Row& row, std::span<float> scores) const override {
    const Index& index = row.index<Index>();
    const auto first = static_cast<std::size_t>(index.first);
    if (first >= scores.size()) return;
    const std::span<float> coded = scores.subspan(first);
    std::fill(coded.begin(), coded.end(), 0.0F);
    const std::span<const float> query = row.query_vector();
    std::vector<float> products(centroids_);
    for (std::size_t sub = 0; sub < sub_vectors_; ++sub) {
      const Codebook& codebook = index.codebooks[sub];
      row.host().multiply_rows(query.subspan(sub * dim_, dim_), codebook.centroids.data(),
                               static_cast<std::int64_t>(width_),
                               codebook.centroids.size() / width_, dim_, products.data());
      const std::uint8_t* codes = codebook.codes.data();
      for (std::size_t j = 0; j < coded.size(); ++j) coded[j] += products[codes[j]];
    }
    row.call().services->count_work(&row.call(), static_cast<std::int64_t>(coded.size()),
                                    static_cast<std::int64_t>(coded.size() * sub_vectors_));
  }
  void add_best(const sdk::Row& row, std::span<const float> scores) const override {
    const std::int64_t first = row.index<Index>().first;
    const auto visible = static_cast<std::int64_t>(scores.size());
    if (first >= visible) return;
    sdk::require_ok(row.call().services->add_top_scores(
        &row.call(), row.number(), scores.data() + first, first, visible, budget(row)));
  }

 private:
  // |k|^2 of sub-vector `sub` of each key. keys [n][head_dim]
  std::vector<double> squares(const std::vector<float>& keys, std::size_t sub) const {
    std::vector<double> squares;
    for (std::size_t at = sub * dim_; at < keys.size(); at += dim_ * sub_vectors_) {
      double square = 0;
      for (std::size_t d = 0; d < dim_; ++d) square += double{keys[at + d]} * keys[at + d];
      squares.push_back(square);
    }
    return squares;
  }
  // Sub-vector `sub` of each key as it is clustered: [n][width].
  std::vector<float> parts(const std::vector<float>& keys,
                           std::size_t sub,
                           const Codebook& codebook) const {
    const std::vector<double> lengths = squares(keys, sub);
    std::vector<float> parts;
    parts.reserve(lengths.size() * width_);
    for (std::size_t key = 0; key < lengths.size(); ++key) {
      const float* part = &keys[(key * sub_vectors_ + sub) * dim_];
      parts.insert(parts.end(), part, part + dim_);
      if (!ip_) continue;
      const double missing = std::max(0.0, codebook.largest_square - lengths[key]);
      parts.push_back(static_cast<float>(std::sqrt(missing)));
    }
    return parts;
  }

  // Lloyd's k-means from keys drawn without replacement: those with the smallest random numbers.
  // There are no more centroids than keys; a centroid that loses all its keys keeps its value.
  void cluster(const sdk::Host& host,
               std::uint32_t purpose,
               const std::vector<float>& parts,
               Codebook& codebook) const {
    const std::size_t keys = parts.size() / width_;
    std::vector<double> numbers(keys);
    host.uniforms(purpose, 0, numbers);
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t key = 0; key < keys; ++key) order.emplace_back(numbers[key], key);
    std::sort(order.begin(), order.end());
    order.resize(std::min(keys, centroids_));
    for (const auto& [number, key] : order) {
      const auto part = parts.begin() + static_cast<std::ptrdiff_t>(key * width_);
      codebook.centroids.insert(codebook.centroids.end(), part,
                                part + static_cast<std::ptrdiff_t>(width_));
    }
    if (keys == 0) codebook.centroids.assign(width_, 0.0F);  // for keys that are appended
    codebook.codes = nearest(host, parts, codebook);
    for (std::int64_t iteration = 0; iteration < iterations_; ++iteration) {
      std::vector<double> sums(codebook.centroids.size());
      std::vector<double> counts(codebook.centroids.size() / width_);
      for (std::size_t key = 0; key < keys; ++key) {
        double* sum = &sums[codebook.codes[key] * width_];
        for (std::size_t d = 0; d < width_; ++d) sum[d] += parts[key * width_ + d];
        ++counts[codebook.codes[key]];
      }
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const double count = counts[i / width_];
        if (count > 0) codebook.centroids[i] = static_cast<float>(sums[i] / count);
      }
      std::vector<std::uint8_t> codes = nearest(host, parts, codebook);
      if (codes == codebook.codes) break;
      codebook.codes = std::move(codes);
    }
  }

  // The number of each sub-vector's nearest centroid, the lower of equals: that with the largest
  // part . centroid - |centroid|^2 / 2.
  std::vector<std::uint8_t> nearest(const sdk::Host& host,
                                    const std::vector<float>& parts,
                                    const Codebook& codebook) const {
    constexpr std::size_t kTogether = 1024;
    const std::size_t keys = parts.size() / width_;
    const std::size_t count = codebook.centroids.size() / width_;
    std::vector<float> halves(count);
    for (std::size_t c = 0; c < count; ++c) {
      double square = 0;
      for (std::size_t d = 0; d < width_; ++d) {
        square += double{codebook.centroids[c * width_ + d]} * codebook.centroids[c * width_ + d];
      }
      halves[c] = static_cast<float>(square / 2);
    }
    std::vector<std::uint8_t> codes(keys);
    std::vector<float> products(count * kTogether);
    std::vector<float> best_scores(kTogether);
    std::vector<std::int32_t> chosen_codes(kTogether);
    float* best = best_scores.data();
    std::int32_t* chosen = chosen_codes.data();
    for (std::size_t first = 0; first < keys; first += kTogether) {
      const std::size_t here = std::min(kTogether, keys - first);
      host.multiply_rows(codebook.centroids, &parts[first * width_],
                         static_cast<std::int64_t>(width_), here, width_, products.data());
      std::fill_n(best, here, -std::numeric_limits<float>::infinity());
      std::fill_n(chosen, here, 0);
      for (std::size_t c = 0; c < count; ++c) {
        // Written without a branch, so that compilers vectorise it.
        const float* product = &products[c * here];
        const float half = halves[c];
        for (std::size_t j = 0; j < here; ++j) {
          const float score = product[j] - half;
          const std::int32_t nearer = score > best[j] ? -1 : 0;
          chosen[j] = (nearer & static_cast<std::int32_t>(c)) | (~nearer & chosen[j]);
          best[j] = std::max(best[j], score);
        }
      }
      std::copy_n(chosen, here, codes.begin() + static_cast<std::ptrdiff_t>(first));
    }
    return codes;
  }

  std::size_t sub_vectors_;
  std::size_t centroids_;
  std::int64_t iterations_;
  bool ip_;
  sdk::Tokens init_offset_;
  std::size_t dim_;    // of a part
  std::size_t width_;  // of a part as it is clustered
};

}  // namespace

MASKERADE_EXPORT_MASKER(PqCache)
