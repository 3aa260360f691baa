#include <memory>

#include "tests/maskers/scorer_checks.hpp"

namespace maskerade {
namespace {

struct CodeOptions {
  std::size_t sub_vectors = 2;
  int bits = 3;
  int iterations = 10;
  std::string metric = "euclidean";
  std::int64_t init_offset = 0;

  NamedArguments given() const {
    return {{"sub_vectors", std::to_string(sub_vectors)},
            {"bits", std::to_string(bits)},
            {"iterations", std::to_string(iterations)},
            {"metric", metric},
            {"init_offset", std::to_string(init_offset)}};
  }
};

using Vector = std::vector<float>;

double square(const Vector& x) {
  double sum = 0;
  for (const float value : x) sum += double{value} * value;
  return sum;
}
float product(const Vector& a, const Vector& b, std::size_t dim) {
  float sum = 0;
  for (std::size_t d = 0; d < dim; ++d) sum = std::fma(a[d], b[d], sum);
  return sum;
}
// Where x . c - |c|^2 / 2 is largest.
std::size_t nearest(const Vector& x, const std::vector<Vector>& centroids) {
  std::size_t code = 0;
  float best = 0;
  for (std::size_t c = 0; c < centroids.size(); ++c) {
    const float score =
        product(centroids[c], x, x.size()) - static_cast<float>(square(centroids[c]) / 2);
    if (c == 0 || score > best) {
      best = score;
      code = c;
    }
  }
  return code;
}

// The parts of every key as their centroids, [keys][sub_vectors]: k-means over the first `built`
// keys from the init_offset on, step by step.
std::vector<std::vector<Vector>> coded(const std::vector<Vector>& keys,
                                       const CodeOptions& coding,
                                       std::size_t built,
                                       const maskerade_host* host) {
  std::vector<std::vector<Vector>> coded(keys.size(), std::vector<Vector>(coding.sub_vectors));
  const std::size_t dim = keys.front().size() / coding.sub_vectors;
  const auto first = static_cast<std::size_t>(coding.init_offset);
  for (std::size_t sub = 0; sub < coding.sub_vectors; ++sub) {
    std::vector<Vector> parts;
    for (std::size_t key = first; key < keys.size(); ++key) {
      const auto at = keys[key].begin() + static_cast<std::ptrdiff_t>(sub * dim);
      parts.emplace_back(at, at + static_cast<std::ptrdiff_t>(dim));
    }
    const std::size_t count = std::min(parts.size(), built - std::min(built, first));
    double largest = 0;
    for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, square(parts[i]));
    for (Vector& part : parts) {
      if (coding.metric == "euclidean") break;
      part.push_back(static_cast<float>(std::sqrt(std::max(0.0, largest - square(part)))));
    }
    std::vector<double> numbers(count);
    EXPECT_EQ(host->uniforms(host, static_cast<std::uint32_t>(sub), 0, count, numbers.data()),
              MASKERADE_OK);
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t i = 0; i < count; ++i) order.emplace_back(numbers[i], i);
    std::sort(order.begin(), order.end());
    std::vector<Vector> centroids;
    for (const auto& [number, i] : order) {
      if (centroids.size() < std::size_t{1} << coding.bits) centroids.push_back(parts[i]);
    }
    for (int iteration = 0; iteration < coding.iterations; ++iteration) {
      std::vector<std::vector<Vector>> clusters(centroids.size());
      for (std::size_t i = 0; i < count; ++i) {
        clusters[nearest(parts[i], centroids)].push_back(parts[i]);
      }
      for (std::size_t c = 0; c < centroids.size(); ++c) {
        for (std::size_t d = 0; d < centroids[c].size() && !clusters[c].empty(); ++d) {
          double sum = 0;
          for (const Vector& part : clusters[c]) sum += part[d];
          centroids[c][d] = static_cast<float>(sum / static_cast<double>(clusters[c].size()));
        }
      }
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      coded[first + i][sub] = centroids[nearest(parts[i], centroids)];
    }
  }
  return coded;
}

Score score(const MaskerProblem& problem,
            const CodeOptions& coding,
            std::int64_t built,
            const MaskerIdentity& place) {
  const MaskerHost host(place);
  const AttentionInputs& inputs = problem.inputs();
  const AttentionShape& shape = inputs.shape;
  std::vector<std::vector<std::vector<Vector>>> of_heads;
  for (std::int64_t item = 0; item < shape.batch * shape.kv_heads; ++item) {
    std::vector<Vector> keys;
    for (std::int64_t key = 0; key < shape.key_len; ++key) {
      keys.push_back(
          MaskerProblem::row_of(inputs.k, item / shape.kv_heads, item % shape.kv_heads, key));
    }
    of_heads.push_back(coded(keys, coding, static_cast<std::size_t>(built), host.c_host()));
  }
  return [&problem, of_heads](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t key) {
    const AttentionInputs& given = problem.inputs();
    const Vector q = MaskerProblem::row_of(given.q, b, h, i);
    const auto& parts =
        of_heads[static_cast<std::size_t>(b * given.shape.kv_heads + given.shape.kv_head_of(h))]
                [static_cast<std::size_t>(key)];
    const std::size_t dim = q.size() / parts.size();
    float sum = 0;
    for (std::size_t sub = 0; sub < parts.size(); ++sub) {
      const auto at = q.begin() + static_cast<std::ptrdiff_t>(sub * dim);
      sum += product({at, at + static_cast<std::ptrdiff_t>(dim)}, parts[sub], dim);
    }
    return sum;
  };
}

// Keys with one code score the same: the lower goes first.
TEST(PqCache, TakesTheBestKeysByTheirCentroids) {
  const MaskerIdentity second{.seed = 0, .place = 1, .depends_on = MASKERADE_DEPENDS_SEED};
  for (const MaskerProblem& problem : edge_problems(8)) {
    for (const CodeOptions& coding :
         {CodeOptions{}, CodeOptions{.sub_vectors = 4, .bits = 2, .iterations = 1, .metric = "ip"},
          CodeOptions{.sub_vectors = 1, .bits = 8, .metric = "ip", .init_offset = 5},
          CodeOptions{.bits = 1, .iterations = 0, .init_offset = 70}}) {
      expect_best_keys("pq_cache", coding.given(), problem,
                       score(problem, coding, problem.shape().key_len, second), 2,
                       coding.init_offset);
    }
  }
}

TEST(PqCache, ACentroidForEachKeyIsTheOracle) {
  const MaskerProblem problem({1, 4, 2, 5, 200, 16}, {.causal = true});
  for (const char* metric : {"euclidean", "ip"}) {
    const CodeOptions coding{.sub_vectors = 1, .bits = 8, .metric = metric};
    EXPECT_EQ(
        run({use("pq_cache", SharedBudget{.budget = 20}.given(coding.given()))}, problem).mask,
        run({use("oracle_topk", {{"", "20"}})}, problem).mask);
  }
}

TEST(PqCache, AppendedKeysGoToTheCentroidsOfTheBuild) {
  const MaskerProblem problem({2, 4, 2, 3, 150, 8}, {.causal = true, .key_spread = 0.5});
  for (const char* metric : {"euclidean", "ip"}) {
    const CodeOptions coding{.metric = metric, .init_offset = 3};
    const SharedBudget taking{.budget = 9};
    const MaskerUse masker = use("pq_cache", taking.given(coding.given()));
    const Score by_definition =
        score(problem, coding, 100, {.seed = 7, .depends_on = MASKERADE_DEPENDS_SEED});
    const std::vector<float> expected =
        dense_rows(problem, [&](std::int64_t b, std::int64_t h, std::int64_t i, float* row) {
          std::vector<std::pair<float, std::int64_t>> candidates;
          for (std::int64_t key = 3; key < problem.inputs().visibility.end(i); ++key) {
            candidates.emplace_back(by_definition(b, h, i, key), key);
          }
          for (const std::int64_t key : best(std::move(candidates), 9)) row[key] = 1;
        });
    rules::MaskerIndex grown = index_over(masker, problem, 100);
    grown.append(150);
    EXPECT_EQ(to_dense(grown.select()), expected) << metric;
    expect_index_appends(masker, problem, 100);
    rules::MaskerIndex from_nothing =
        index_over(masker, problem, 0);  // one centroid, 0: the first keys
    from_nothing.append(150);
    EXPECT_EQ(count(from_nothing.select()).active_entries, 2 * 4 * 3 * 9);
    from_nothing.truncate(1);
    from_nothing.append(150);
    EXPECT_EQ(from_nothing.select().probability(0, 0, 0, 3), 1);
  }
}

TEST(PqCache, SeedsBeginWithOtherKeys) {
  const MaskerProblem problem({1, 2, 1, 3, 300, 8});
  const MaskerUse masker = use("pq_cache", {{"", "10"}});
  EXPECT_NE(run({masker}, problem, {.seed = 1}).mask, run({masker}, problem, {.seed = 2}).mask);
}

TEST(PqCache, CountsTheActiveKeysOrNot) { expect_counts("pq_cache", CodeOptions{}.given()); }

TEST(PqCache, KeepsTheRulesOfASelection) {
  for (const char* share : {"query_head", "kv_head", "all"}) {
    expect_selection_rules(
        {use("sink", {{"", "2"}}),
         use("pq_cache", SharedBudget{.share = share, .budget = 9}.given(CodeOptions{}.given()))},
        MaskerProblem({2, 4, 2, 130, 200, 8}, {.causal = true}));
  }
}

TEST(PqCache, ReportsItsIndexAndWhatItScores) {
  const MaskerProblem problem({1, 2, 1, 3, 100, 8}, {.causal = true});
  const CodeOptions coding{.metric = "ip", .init_offset = 10};
  const MaskerReport report = report_of(
      run({use("pq_cache", SharedBudget{.budget = 9}.given(coding.given()))}, problem), "pq_cache");
  EXPECT_EQ(report.keys_scored, 2 * (88 + 89 + 90));
  EXPECT_EQ(report.bytes_read, 2 * (88 + 89 + 90) * 2);
  EXPECT_EQ(report.index_bytes, 2 * (90 + 8 * 5 * 4));
  EXPECT_TRUE(report.index_spans_future);
}

TEST(PqCache, BadArgumentsSayWhatWouldBeRight) {
  EXPECT_TRUE(says(error_of("pq_cache", {{"", "4"}, {"sub_vectors", "3"}}),
                   "masker \"pq_cache\" cannot be created: sub_vectors is 3, which does not divide "
                   "a head_dim of 4"));
  EXPECT_TRUE(says(error_of("pq_cache", {{"", "4"}, {"sub_vectors", "5"}}),
                   "sub_vectors is 5, which does not divide a head_dim of 4"));
  EXPECT_EQ(error_of("pq_cache", {{"", "4"}, {"bits", "9"}}),
            "\"bits\" is 9; it must be in [1, 8]");
  EXPECT_EQ(error_of("pq_cache", {{"", "4"}, {"metric", "cosine"}}),
            "\"metric\" is \"cosine\"; it must be euclidean | ip");
}

}  // namespace
}  // namespace maskerade
