#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "framework/mask/conversions.hpp"
#include "tests/golden_test/masker_run.hpp"
#include "tests/maskers/adaptive_budget.hpp"

namespace maskerade::golden {
namespace {

// The stored budgets against ours by the book, which the tests of the masker hold it to: from the
// exact sigma and total of the whole residual, as published (one-sided, with replacement) and
// two-sided without replacement.
void check_budget_tables(const CaseRun& run, Findings& findings) {
  const CaseTensors& tensors = run.tensors;
  const std::vector<float> epsilon = tensors.floats("epsilon");
  const std::vector<float> z = tensors.floats("z");
  const std::vector<float> z_two_sided = tensors.floats("z_two_sided");
  const std::vector<float> statics = tensors.floats("static_den");
  const std::vector<float> residual = tensors.floats("residual_den");
  const std::vector<float> variance = tensors.floats("residual_var");
  const std::vector<float> sample_variance = tensors.floats("residual_var_sample");
  const std::vector<std::int64_t> counts = tensors.integers("residual_count");
  std::vector<double> published;
  std::vector<double> two_sided;
  std::vector<std::int64_t> whole;
  for (std::size_t i = 0; i < epsilon.size(); ++i) {
    for (std::size_t r = 0; r < counts.size(); ++r) {
      const auto n = static_cast<double>(counts[r]);
      const double total = double{statics[r]} + double{residual[r]};
      const double b =
          keys_needed(double{z[i]}, std::sqrt(variance[r]), n, double{epsilon[i]}, total);
      published.push_back(b);
      // At least 1, and no more than there are.
      whole.push_back(
          std::min<std::int64_t>(std::max<std::int64_t>(std::llround(std::ceil(b)), 1), counts[r]));
      two_sided.push_back(
          finite_population(keys_needed(double{z_two_sided[i]}, std::sqrt(sample_variance[r]), n,
                                        double{epsilon[i]}, total),
                            n));
    }
  }
  const Tolerance real{run.golden.tolerance("budget_rtol"), run.golden.tolerance("atol")};
  const std::vector<std::int64_t> shape = tensors.shape("budget");
  findings.compare("budget_real", published, tensors.floats("budget_real"), real, shape);
  findings.compare("budget_real_two_sided", two_sided, tensors.floats("budget_real_two_sided"),
                   real, shape);
  findings.compare("budget", whole, tensors.integers("budget"),
                   {0, run.golden.tolerance("budget_atol")}, shape);
}

// What one row drew, of what asked the least with the same seed: the same base.
struct RowDraw {
  std::vector<double> base;  // weights
  std::int64_t remaining = 0;
  std::int64_t draws = 0;
};

// The masker itself, from the case's static set.
class AdaptiveRun {
 public:
  AdaptiveRun(const CaseRun& run, Findings& findings)
      : run_(run),
        problem_(run),
        residual_(run.tensors.floats("residual")),
        previous_(run.tensors.has("prev") ? run.tensors.floats("prev")
                                          : std::vector<float>(residual_.size())),
        row_max_(run.tensors.floats("row_max")) {
    check_allowed(run, problem_.inputs.visibility, findings);
    const std::vector<std::int64_t> counts = run.tensors.integers("residual_count");
    base_ = std::max<std::int64_t>(2, *std::min_element(counts.begin(), counts.end()) / 4);
    least_ = select(0.99F, 0.99F, true);
  }

  std::vector<float> select(float epsilon, float delta, bool one_sided) const {
    const MaskerUse use = masker_use(run_, run_.golden.maskers.back(),
                                     {{"epsilon", {fmt::format("{}", epsilon)}},
                                      {"delta", {fmt::format("{}", delta)}},
                                      {"base", {fmt::format("{}", base_)}},
                                      {"one_sided", {one_sided ? "true" : "false"}}});
    const AttentionInputs& inputs = problem_.inputs;
    const Mask previous =
        from_dense(inputs.visibility, {run_.golden.batch, run_.golden.query_heads}, previous_);
    const Threads threads(1);
    return dense(
        run_.golden,
        Pipeline({use}).prepare(inputs, {.seed = 1}, threads).select(threads, previous).mask);
  }

  // A row of what was selected; fails when it drew outside the residual.
  RowDraw draw_of(std::size_t row, const std::vector<float>& weights, Findings& findings) const {
    const auto key_len = static_cast<std::size_t>(run_.golden.key_len);
    RowDraw found;
    for (std::size_t key = 0; key < key_len; ++key) {
      const std::size_t i = row * key_len + key;
      const bool drawn = weights[i] > 0;
      if (residual_[i] == 0) {
        if (drawn != (previous_[i] > 0)) {
          findings.fail(fmt::format("row {} draws key {}, which it may not", row, key));
        }
      } else if (least_[i] == 1) {
        found.base.push_back(weight_of(row, static_cast<std::int64_t>(key)));
      } else {
        ++found.remaining;
        found.draws += drawn ? 1 : 0;
      }
    }
    return found;
  }
  std::int64_t base() const { return base_; }

 private:
  double weight_of(std::size_t row, std::int64_t key) const {
    const AttentionShape& shape = problem_.inputs.shape;
    const auto head = static_cast<std::int64_t>(row) / shape.query_len;
    const std::int64_t batch = head / shape.query_heads;
    std::vector<float> q(static_cast<std::size_t>(shape.head_dim));
    std::vector<float> k(q.size());
    problem_.inputs.q.load_row(batch, head % shape.query_heads,
                               static_cast<std::int64_t>(row) % shape.query_len, q.data());
    problem_.inputs.k.load_row(batch, shape.kv_head_of(head % shape.query_heads), key, k.data());
    double product = 0;
    for (std::size_t d = 0; d < q.size(); ++d) product += double{q[d]} * double{k[d]};
    return std::exp(run_.golden.scale * product - double{row_max_[row]});
  }

  const CaseRun& run_;
  CaseInputs problem_;
  std::vector<float> residual_;
  std::vector<float> previous_;
  std::vector<float> row_max_;
  std::int64_t base_ = 0;
  std::vector<float> least_;  // selected when little is asked: p = 1 for the base alone
};

}  // namespace

// The masker draws among the stored residual alone, and as many keys as its own base sample asks
// for by the book that the stored budgets have confirmed, within one (scores are float32).
void check_adaptive_sampling(const CaseRun& run, Findings& findings) {
  check_budget_tables(run, findings);
  const AdaptiveRun adaptive(run, findings);
  const std::vector<float> statics = run.tensors.floats("static_den");
  const std::vector<float> epsilon = run.tensors.floats("epsilon");
  const std::vector<float> delta = run.tensors.floats("delta");
  for (const bool one_sided : {false, true}) {
    const std::vector<float> z = run.tensors.floats(one_sided ? "z" : "z_two_sided");
    for (std::size_t i = 0; i < epsilon.size(); ++i) {
      const std::vector<float> weights = adaptive.select(epsilon[i], delta[i], one_sided);
      for (std::size_t row = 0; row < statics.size(); ++row) {
        const RowDraw draw = adaptive.draw_of(row, weights, findings);
        if (draw.remaining == 0) continue;  // the base sample has all
        const auto m = static_cast<double>(draw.remaining);
        const BaseEstimate estimate = base_estimate(draw.base, double{statics[row]}, m);
        const double b =
            keys_needed(double{z[i]}, estimate.sigma, m, double{epsilon[i]}, estimate.total);
        const std::int64_t expected = adaptive_draws(b, adaptive.base(), draw.remaining);
        if (std::abs(expected - draw.draws) > 1) {
          findings.fail(fmt::format("row {}, epsilon {}, delta {}: {} keys drawn, expected {}", row,
                                    epsilon[i], delta[i], draw.draws, expected));
        }
      }
    }
  }
}

}  // namespace maskerade::golden
