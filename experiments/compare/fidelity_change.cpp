#include "experiments/compare/fidelity_change.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "experiments/compare/verdict.hpp"
#include "experiments/measure/statistics.hpp"
#include "experiments/report/number_text.hpp"

namespace maskerade::compare {
namespace {

bool is_ok(const CellResult& cell) { return cell.status == CellStatus::kOk; }

bool is_greater(double value, double than) {
  return value > than * (1 + kErrorMargin) && value - than > kErrorFloor;
}

std::string from_to(const char* name, double a, double b) {
  return fmt::format("{} {} -> {}", name, number_text(a), number_text(b));
}

bool have_other_masks(const CellResult& a, const CellResult& b) {
  return a.counts && b.counts &&
         (a.counts->active_entries != b.counts->active_entries ||
          a.counts->sampled_entries != b.counts->sampled_entries ||
          a.counts->tiles_partial != b.counts->tiles_partial ||
          a.counts->density_p5 != b.counts->density_p5 ||
          a.counts->density_p95 != b.counts->density_p95);
}

// A pipeline on a workload, whatever the seed of its mask.
std::string names_but_seed(const CellResult& cell) {
  return fmt::format("{}\n{}\n{}\n{}\n{}", cell.experiment, cell.workload, cell.pipeline,
                     cell.device, cell.kernel);
}

// The pipelines on workloads whose error is another for another seed.
void add_random(const CellResult& cell,
                std::map<std::string, double>& errors,
                std::set<std::string>& random) {
  if (!cell.fidelity || !cell.mask_seed) return;
  const double error = cell.fidelity->rel_l2_error;
  const auto [known, is_new] = errors.emplace(names_but_seed(cell), error);
  if (!is_new && known->second != error) random.insert(known->first);
}

std::string pipeline_name(const CellResult& cell) {
  std::string name = cell.pipeline;
  if (cell.device != "cpu") name += " (" + cell.device + ")";
  if (cell.kernel != "auto" && !cell.kernel.empty()) name += ", " + cell.kernel;
  return name;
}

RatioEstimate mean_ratio(const std::vector<double>& logs) {
  const Spread spread = mean_and_deviation(logs);
  const auto count = static_cast<double>(logs.size());
  return {.log = spread.mean,
          .standard_error = spread.deviation / std::sqrt(count),
          .degrees_of_freedom = count - 1};
}

}  // namespace

FidelityChange change_of(const CellResult& a, const CellResult& b, bool judges_error) {
  FidelityChange change;
  if (is_ok(a) && b.status == CellStatus::kFailed) change.worse.push_back("failed: " + b.reason);
  if (a.status == CellStatus::kFailed && is_ok(b)) change.better.emplace_back("failed no more");
  if (!is_ok(a) || !is_ok(b)) return change;
  change.has_other_mask = have_other_masks(a, b);
  if (a.fidelity && b.fidelity && judges_error) {
    const double error_a = a.fidelity->rel_l2_error;
    const double error_b = b.fidelity->rel_l2_error;
    const std::string errors = from_to("rel L2 error", error_a, error_b);
    if (is_greater(error_b, error_a)) change.worse.push_back(errors);
    if (is_greater(error_a, error_b)) change.better.push_back(errors);
    const double recall_a = a.fidelity->attention_recall;
    const double recall_b = b.fidelity->attention_recall;
    const std::string recalls = from_to("recall", recall_a, recall_b);
    if (recall_a - recall_b > kRecallMargin) change.worse.push_back(recalls);
    if (recall_b - recall_a > kRecallMargin) change.better.push_back(recalls);
  }
  if (a.oracle && b.oracle) {
    const double quotient_a = a.oracle->quotient;
    const double quotient_b = b.oracle->quotient;
    const std::string quotients =
        from_to("oracle error over its allowance", quotient_a, quotient_b);
    const auto is_worse = [](double one, double other) {
      return other > kQuotientFloor && other > 2 * one;
    };
    if (is_worse(quotient_a, quotient_b)) change.worse.push_back(quotients);
    if (is_worse(quotient_b, quotient_a)) change.better.push_back(quotients);
  }
  return change;
}

std::vector<QualityChange> quality_changes(std::span<const CellPair> pairs, double error) {
  const std::vector<bool> is_random = random_pairs(pairs);
  struct Windows {
    std::vector<double> logs;
    bool is_random = false;
  };
  std::vector<std::string> order;
  std::map<std::string, Windows> pipelines;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const CellResult& a = pairs[i].a.first();
    const CellResult& b = pairs[i].b.first();
    if (!is_ok(a) || !is_ok(b) || !a.fidelity || !b.fidelity) continue;
    const double log = std::log((b.fidelity->rel_l2_error + kErrorFloor) /
                                (a.fidelity->rel_l2_error + kErrorFloor));
    if (!std::isfinite(log)) continue;
    const auto [place, is_new] = pipelines.emplace(pipeline_name(a), Windows{});
    if (is_new) order.push_back(place->first);
    place->second.logs.push_back(log);
    place->second.is_random = place->second.is_random || is_random[i];
  }
  std::vector<QualityChange> changes;
  std::vector<double> probabilities;
  for (const std::string& pipeline : order) {
    const Windows& windows = pipelines.at(pipeline);
    if (windows.logs.size() < 2) continue;
    changes.push_back({.pipeline = pipeline,
                       .windows = windows.logs.size(),
                       .is_random = windows.is_random,
                       .ratio = mean_ratio(windows.logs)});
    probabilities.push_back(changes.back().ratio.p_of_equality());
  }
  const std::vector<double> adjusted = holm_adjusted(probabilities);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    QualityChange& change = changes[i];
    change.adjusted_probability = adjusted[i];
    const bool is_certain =
        adjusted[i] <= error && std::abs(change.ratio.log) > std::log1p(kErrorMargin);
    change.is_worse = is_certain && change.ratio.log > 0;
    change.is_better = is_certain && change.ratio.log < 0;
  }
  return changes;
}

std::vector<bool> random_pairs(std::span<const CellPair> pairs) {
  std::set<std::string> random;
  std::map<std::string, double> errors_a;
  std::map<std::string, double> errors_b;
  for (const CellPair& pair : pairs) {
    add_random(pair.a.first(), errors_a, random);
    add_random(pair.b.first(), errors_b, random);
  }
  std::vector<bool> is_random;
  for (const CellPair& pair : pairs) {
    is_random.push_back(random.count(names_but_seed(pair.a.first())) > 0 ||
                        random.count(names_but_seed(pair.b.first())) > 0);
  }
  return is_random;
}

}  // namespace maskerade::compare
