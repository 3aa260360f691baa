#include "tests/maskers/scorer_checks.hpp"

namespace maskerade {
namespace {

struct Pages {
  std::int64_t size = 16;
  std::int64_t min_pages = 3;
  int label_bits = 16;

  NamedArguments given() const {
    return {{"page_size", std::to_string(size)},
            {"min_pages", std::to_string(min_pages)},
            {"label_bits", std::to_string(label_bits)}};
  }
};

// x of vectors, fake-quantised to the levels between its least and greatest.
std::vector<float> quantised(std::vector<float> x, int bits) {
  const float low = *std::min_element(x.begin(), x.end());
  const float high = *std::max_element(x.begin(), x.end());
  const auto top = static_cast<float>((1 << bits) - 1);
  const float scale = top / (high == low ? 1 : high - low);
  for (float& value : x) value = std::rint((value - low) * scale) / scale + low;
  return x;
}

// The bound of a page over all its keys, later ones included, summed in the order of d.
Score page_score(const MaskerProblem& problem, const Pages& pages) {
  return [&problem, pages](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t page) {
    const AttentionInputs& inputs = problem.inputs();
    const std::int64_t kv_head = inputs.shape.kv_head_of(h);
    std::vector<float> least = MaskerProblem::row_of(inputs.k, b, kv_head, page * pages.size);
    std::vector<float> greatest = least;
    const std::int64_t end = std::min((page + 1) * pages.size, inputs.shape.key_len);
    for (std::int64_t key = page * pages.size; key < end; ++key) {
      const std::vector<float> k = MaskerProblem::row_of(inputs.k, b, kv_head, key);
      for (std::size_t d = 0; d < k.size(); ++d) {
        least[d] = std::min(least[d], k[d]);
        greatest[d] = std::max(greatest[d], k[d]);
      }
    }
    if (pages.label_bits < 16) {
      least = quantised(least, pages.label_bits);
      greatest = quantised(greatest, pages.label_bits);
    }
    const std::vector<float> q = MaskerProblem::row_of(inputs.q, b, h, i);
    float sum = 0;
    for (std::size_t d = 0; d < q.size(); ++d) {
      const bool high = q[d] * greatest[d] >= q[d] * least[d];
      sum = std::fma(q[d], high ? greatest[d] : least[d], sum);
    }
    return sum;
  };
}

void expect_best_pages(const Pages& pages, const MaskerProblem& problem) {
  const AttentionShape& shape = problem.shape();
  const Score score = page_score(problem, pages);
  for (const char* share : {"query_head", "kv_head", "all"}) {
    for (const char* reduce : {"sum", "max"}) {
      for (const std::int64_t budget : {std::int64_t{0}, 4 * pages.size + 1, shape.key_len + 1}) {
        const SharedBudget taking{share, reduce, budget};
        const std::vector<float> expected =
            dense_rows(problem, [&](std::int64_t b, std::int64_t h, std::int64_t i, float* row) {
              const std::int64_t visible = problem.inputs().visibility.end(i);
              std::vector<std::pair<float, std::int64_t>> candidates;
              for (std::int64_t page = 0; page * pages.size < visible; ++page) {
                candidates.emplace_back(taking.pooled(shape, score, b, h, i, page), page);
              }
              for (std::int64_t key = 0; key < std::min<std::int64_t>(2, visible); ++key) {
                row[key] = 1;
              }
              const bool reaches_all = budget >= visible - std::min<std::int64_t>(2, visible);
              const std::int64_t count = reaches_all
                                             ? static_cast<std::int64_t>(candidates.size())
                                             : std::max(pages.min_pages, budget / pages.size);
              for (const std::int64_t page : best(std::move(candidates), count)) {
                const std::int64_t end = std::min((page + 1) * pages.size, visible);
                for (std::int64_t key = page * pages.size; key < end; ++key) row[key] = 1;
              }
            });
        EXPECT_EQ(dense_mask({use("sink", {{"", "2"}}), use("quest", taking.given(pages.given()))},
                             problem),
                  expected)
            << shape.to_string() << ' ' << share << ' ' << reduce << ' ' << budget;
      }
    }
  }
}

TEST(Quest, TakesThePagesWithTheLargestBound) {
  for (const MaskerProblem& problem : edge_problems(16)) {
    expect_best_pages({.size = 5, .min_pages = 3}, problem);
    expect_best_pages({.size = 16, .min_pages = 1}, problem);
    expect_best_pages({.size = 7, .min_pages = 0, .label_bits = 4}, problem);
    expect_best_pages({.size = 200}, problem);
  }
}

// One dimension of bfloat16 and two quantised values: many pages score the same.
TEST(Quest, EqualBoundsGoToTheLowerPage) {
  const MaskerProblem problem({1, 2, 1, 2, 700, 1}, {.dtype = DType::kBFloat16});
  expect_best_pages({.size = 3}, problem);
}

TEST(Quest, PagesOfOneKeyAreTheOracle) {
  const MaskerProblem problem({1, 4, 2, 5, 300, 16}, {.causal = true});
  EXPECT_EQ(run({use("quest", {{"", "20"}, {"page_size", "1"}})}, problem).mask,
            run({use("oracle_topk", {{"", "20"}})}, problem).mask);
}

TEST(Quest, TotalBudgetCountsTheActiveKeys) {
  const MaskerProblem problem({1, 1, 1, 1, 160, 8});
  const auto pages = [&](const char* counts) {
    const Selection selection = run(
        {use("sink", {{"", "32"}}),
         use("quest", {{"", "80"}, {"page_size", "8"}, {"min_pages", "0"}, {"counts", counts}})},
        problem);
    std::int64_t active = 0;
    for (const float p : to_dense(selection.mask)) active += p > 0 ? 1 : 0;
    return active;
  };
  EXPECT_LE(pages("total"), 32 + 48);
  EXPECT_GT(pages("extra"), pages("total"));
}

TEST(Quest, KeepsTheRulesOfASelection) {
  for (const char* share : {"query_head", "kv_head", "all"}) {
    expect_selection_rules({use("sink", {{"", "2"}}),
                            use("quest", {{"", "24"}, {"page_size", "8"}, {"share", share}})},
                           MaskerProblem({2, 4, 2, 130, 200, 8}, {.causal = true}));
  }
}

TEST(Quest, IndexGrowsKeyByKey) {
  const MaskerProblem problem({2, 4, 2, 3, 150, 16}, {.causal = true});
  for (const Pages& pages :
       {Pages{.size = 8}, Pages{.size = 64, .min_pages = 1, .label_bits = 3}}) {
    const MaskerUse masker = use("quest", SharedBudget{.budget = 24}.given(pages.given()));
    // Within one page the index does not grow.
    if (pages.size < 50) expect_index_appends(masker, problem, 100);
    expect_appending_is_building(masker, problem);
  }
}

TEST(Quest, ReportsItsIndexAndWhatItScores) {
  const MaskerProblem problem({1, 2, 1, 3, 100, 8}, {.causal = true});
  const MaskerReport report =
      report_of(run({use("quest", {{"", "20"}, {"page_size", "33"}})}, problem), "quest");
  EXPECT_EQ(report.keys_scored, 2 * (3 + 3 + 4));
  EXPECT_EQ(report.bytes_read, 2 * 4 * 2 * 8 * 4);
  EXPECT_EQ(report.index_bytes, (4 + 1) * 2 * 8 * 4);
  EXPECT_TRUE(report.index_spans_future);
}

TEST(Quest, BadArgumentsSayWhatWouldBeRight) {
  EXPECT_EQ(error_of("quest", {}),
            "\"quest\" needs \"budget\" (tokens): keys to select, in whole pages: at least "
            "min_pages, all once it reaches every key");
  EXPECT_EQ(error_of("quest", {{"", "4"}, {"page_size", "0"}}),
            "\"page_size\" is 0; it must be >= 1");
  EXPECT_EQ(error_of("quest", {{"", "4"}, {"label_bits", "0"}}),
            "\"label_bits\" is 0; it must be in [1, 16]");
  EXPECT_EQ(error_of("quest", {{"", "4"}, {"share", "heads"}}),
            "\"share\" is \"heads\"; it must be query_head | kv_head | all");
}

}  // namespace
}  // namespace maskerade
