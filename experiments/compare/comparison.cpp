#include "experiments/compare/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "experiments/measure/statistics.hpp"
#include "experiments/report/number_text.hpp"

namespace maskerade::compare {
namespace {

constexpr std::array<std::string_view, 6> kStageNames = {"total", "prepare", "select",
                                                         "plan",  "attend",  "dense"};
// What turns the median of absolute values into a normal distribution's standard deviation.
constexpr double kNormalScale = 1.4826;
// Half the width of a normal distribution's 95 % interval, in standard errors.
constexpr double kNormalWidth = 1.96;
// A machine that is that much faster or slower makes single runs doubtful.
constexpr double kMostDrift = 0.03;

const Summary* find_summary(const CellResult& cell, Stage stage) {
  if (!cell.times) return nullptr;
  const StageTimes& times = *cell.times;
  const auto find = [](const std::optional<Summary>& summary) {
    return summary ? &*summary : nullptr;
  };
  switch (stage) {
    case Stage::kTotal:
      return &times.total;
    case Stage::kPrepare:
      return find(times.prepare);
    case Stage::kSelect:
      return find(times.select);
    case Stage::kPlan:
      return find(times.plan);
    case Stage::kAttend:
      return &times.attend;
    case Stage::kDense:
      return &times.dense;
  }
  return nullptr;
}

bool is_dense_reference(const CellResult& cell) { return !cell.mask_seed; }

const std::vector<double>* find_series(const CellResult& cell, std::string_view stage) {
  // Of the dense reference every stage is that one.
  const std::string_view name = is_dense_reference(cell) ? "dense" : stage;
  for (const StageSeries& series : cell.samples) {
    if (series.stage == name) return &series.times_ms;
  }
  return nullptr;
}

std::optional<double> ruler_ms(const CellResult& cell, const CompareOptions& options) {
  return time_ms(cell, {Stage::kDense, options.quantity.typical});
}

// The logarithm of what is compared of one run; nullopt where that was not timed.
std::optional<double> log_of(const CellResult* cell, const CompareOptions& options) {
  if (cell == nullptr || cell->status != CellStatus::kOk) return std::nullopt;
  const std::optional<double> ms = time_ms(*cell, options.quantity);
  if (!ms || !(*ms >= kLeastMs)) return std::nullopt;
  if (!options.uses_ruler) return std::log(*ms);
  const std::optional<double> dense_ms = ruler_ms(*cell, options);
  if (!dense_ms || !(*dense_ms >= kLeastMs)) return std::nullopt;
  return std::log(*ms / *dense_ms);
}

double median_of(std::vector<double> values) { return quantile(values, 0.5); }

// The standard error of log_of() within one run: of its samples, else of its median's interval.
std::optional<double> error_within(const CellResult& cell,
                                   const CompareOptions& options,
                                   std::uint64_t seed) {
  const std::vector<double>* times = find_series(cell, name_of(options.quantity.stage));
  const std::vector<double>* ruler = options.uses_ruler ? find_series(cell, "dense") : nullptr;
  if (times != nullptr && (ruler != nullptr || !options.uses_ruler)) {
    return bootstrap_error(*times, ruler == nullptr ? std::span<const double>() : *ruler, seed);
  }
  const auto error_of = [](const Summary& summary) -> std::optional<double> {
    if (!summary.lo || !summary.hi || !(*summary.lo > 0)) return std::nullopt;
    return std::log(*summary.hi / *summary.lo) / (2 * kNormalWidth);
  };
  const std::optional<double> of_stage = error_of(*find_summary(cell, options.quantity.stage));
  if (!options.uses_ruler || !of_stage) return of_stage;
  const std::optional<double> of_ruler = error_of(cell.times->dense);
  return of_ruler ? std::optional(std::hypot(*of_stage, *of_ruler)) : std::nullopt;
}

// Log ratios of the dense references of the first runs, by device.
std::map<std::string, std::vector<double>> dense_ratios(const std::vector<CellPair>& pairs) {
  const CompareOptions dense{.quantity = {.stage = Stage::kDense}};
  std::map<std::string, std::vector<double>> ratios;
  for (const CellPair& pair : pairs) {
    const std::optional<double> a = log_of(&pair.a.first(), dense);
    const std::optional<double> b = log_of(&pair.b.first(), dense);
    if (a && b) ratios[pair.a.first().device].push_back(*b - *a);
  }
  return ratios;
}

// What the dense references say of two runs: their ratio, and how far they scatter.
std::optional<RatioEstimate> control_of(const std::vector<double>& ratios,
                                        const CompareOptions& options) {
  if (ratios.size() < kLeastControls) return std::nullopt;
  const double middle = median_of(ratios);
  std::vector<double> distances;
  for (const double ratio : ratios) {
    distances.push_back(std::abs(ratio - (options.uses_ruler ? middle : 0)));
  }
  return RatioEstimate{.log = middle,
                       .standard_error = kNormalScale * median_of(distances),
                       .degrees_of_freedom = static_cast<double>(ratios.size()) - 1};
}

// Why a cell was not timed in a side; "" where it was.
std::string reason_of(const CellResult& cell, const char* side, const CompareOptions& options) {
  if (cell.status != CellStatus::kOk) {
    return fmt::format("{} in {}: {}", name_of(cell.status), side, cell.reason);
  }
  const std::optional<double> ms = time_ms(cell, options.quantity);
  if (!ms) return fmt::format("was not timed in {}", side);
  const bool has_ruler = !options.uses_ruler || ruler_ms(cell, options).value_or(0) >= kLeastMs;
  if (!(*ms >= kLeastMs) || !has_ruler) {
    return fmt::format("takes {} ms in {}: too short to compare", milliseconds_text(*ms), side);
  }
  return "";
}

// Compares the cells of two sides one by one.
class Comparing {
 public:
  Comparing(const Side& a, const Side& b, const CompareOptions& options)
      : options_(options),
        is_single_(!options.is_paired && (a.runs.size() < 2 || b.runs.size() < 2)) {}

  Comparison run(CellPairs paired) {
    Comparison comparison;
    if (is_single_) {
      std::size_t most = 0;
      for (const auto& [device, ratios] : dense_ratios(paired.pairs)) {
        const std::optional<RatioEstimate> control = control_of(ratios, options_);
        if (control) controls_[device] = *control;
        if (control && ratios.size() > most) comparison.control = control;
        most = std::max(most, ratios.size());
      }
    }
    const std::vector<bool> is_random = random_pairs(paired.pairs);
    std::vector<double> probabilities;
    for (std::size_t i = 0; i < paired.pairs.size(); ++i) {
      ComparedCell cell = compare(paired.pairs[i]);
      cell.fidelity = change_of(*cell.a, *cell.b, !is_random[i]);
      if (has_nothing_to_compare(cell)) continue;
      if (cell.estimate) {
        cell.probability = corrected_probability(*cell.estimate, options_.rule);
        probabilities.push_back(cell.probability);
      }
      comparison.cells.push_back(std::move(cell));
    }
    const std::vector<double> adjusted = holm_adjusted(probabilities);
    std::size_t next = 0;
    for (ComparedCell& cell : comparison.cells) {
      if (!cell.estimate) continue;
      cell.adjusted_probability = adjusted[next++];
      cell.verdict = verdict_of(*cell.estimate, cell.adjusted_probability, options_.rule);
    }
    for (const CellRuns& only : paired.only_a) comparison.only_a.push_back(&only.first());
    for (const CellRuns& only : paired.only_b) comparison.only_b.push_back(&only.first());
    comparison.quality = quality_changes(paired.pairs, options_.rule.error);
    return comparison;
  }

 private:
  ComparedCell compare(const CellPair& pair) {
    ComparedCell cell{.a = &pair.a.first(), .b = &pair.b.first()};
    std::vector<double> a;
    std::vector<double> b;
    std::vector<double> pairs;
    const std::size_t runs = std::max(pair.a.by_run.size(), pair.b.by_run.size());
    for (std::size_t i = 0; i < runs; ++i) {
      const auto log_in = [&](const CellRuns& of) {
        return i < of.by_run.size() ? log_of(of.by_run[i], options_) : std::nullopt;
      };
      const std::optional<double> of_a = log_in(pair.a);
      const std::optional<double> of_b = log_in(pair.b);
      if (of_a) a.push_back(*of_a);
      if (of_b) b.push_back(*of_b);
      if (of_a && of_b) pairs.push_back(*of_b - *of_a);
    }
    if (!a.empty()) cell.a_ms = std::exp(median_of(a));
    if (!b.empty()) cell.b_ms = std::exp(median_of(b));
    cell.runs = options_.is_paired ? pairs.size() : std::min(a.size(), b.size());
    cell.reason = reason_of(*cell.a, "A", options_);
    if (cell.reason.empty()) cell.reason = reason_of(*cell.b, "B", options_);
    if (!cell.reason.empty()) return cell;
    if (is_ruler(cell)) {
      cell.reason = "is the ruler";
    } else if (options_.is_paired) {
      cell.estimate = estimate_of_pairs(pairs);
      if (!cell.estimate) cell.reason = fmt::format("fewer than {} pairs of runs", kLeastPairs);
    } else if (!is_single_) {
      cell.estimate = estimate_of_runs(a, b);
      if (!cell.estimate) cell.reason = "fewer than two runs of a side";
    } else {
      estimate_single(cell);
    }
    return cell;
  }

  // Whether a cell has no such stage, as the dense reference has nothing to select, or is the
  // ruler, and has the same results.
  bool has_nothing_to_compare(const ComparedCell& cell) const {
    const auto lacks_stage = [&](const CellResult& of) {
      return of.status == CellStatus::kOk && !time_ms(of, options_.quantity);
    };
    return (is_ruler(cell) || (lacks_stage(*cell.a) && lacks_stage(*cell.b))) &&
           cell.a->status == CellStatus::kOk && cell.fidelity.worse.empty() &&
           cell.fidelity.better.empty() && !cell.fidelity.has_other_mask;
  }

  bool is_ruler(const ComparedCell& cell) const {
    return options_.uses_ruler &&
           (is_dense_reference(*cell.a) || options_.quantity.stage == Stage::kDense);
  }

  void estimate_single(ComparedCell& cell) {
    if (options_.quantity.typical != Typical::kMedian) {
      cell.reason = "one run, whose least time says nothing of how far two runs differ";
      return;
    }
    const auto control = controls_.find(cell.a->device);
    if (control == controls_.end()) {
      cell.reason = fmt::format(
          "one run, and fewer than {} cells with a dense reference to tell how far two runs "
          "differ: give several runs of each side",
          kLeastControls);
      return;
    }
    const std::optional<double> error_a = error_within(*cell.a, options_, 1);
    const std::optional<double> error_b = error_within(*cell.b, options_, 2);
    if (!error_a || !error_b) {
      cell.reason = fmt::format("too few repetitions in {}", error_a ? "B" : "A");
      return;
    }
    const RatioEstimate& between = control->second;
    // What the cell's own dense reference did between the two runs may have hit its stages, too.
    const double moved = options_.uses_ruler || options_.quantity.stage == Stage::kDense ||
                                 is_dense_reference(*cell.a)
                             ? 0
                             : std::log(cell.b->times->dense.median / cell.a->times->dense.median);
    const double variance = *error_a * *error_a + *error_b * *error_b + moved * moved +
                            between.standard_error * between.standard_error;
    cell.estimate = RatioEstimate{.log = *log_of(cell.b, options_) - *log_of(cell.a, options_),
                                  .standard_error = std::sqrt(variance),
                                  .degrees_of_freedom = between.degrees_of_freedom};
  }

  const CompareOptions& options_;
  bool is_single_;
  std::map<std::string, RatioEstimate> controls_;  // by device
};

// The different values of a text of the cells of a side, in order.
template <typename Get>
std::set<std::string> values_of(const Side& side, Get get) {
  std::set<std::string> values;
  for (const Run& run : side.runs) {
    for (const CellResult& cell : run.cells) values.insert(get(cell));
  }
  return values;
}

std::map<std::string, std::set<std::string>> plugins_of(const Side& side) {
  std::map<std::string, std::set<std::string>> plugins;
  for (const Run& run : side.runs) {
    for (const CellResult& cell : run.cells) {
      for (const auto& [masker, hash] : cell.plugins) plugins[masker].insert(hash);
    }
  }
  return plugins;
}

}  // namespace

std::string_view name_of(Stage stage) noexcept {
  return kStageNames[static_cast<std::size_t>(stage)];
}

std::optional<Stage> parse_stage(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kStageNames.size(); ++i) {
    if (kStageNames[i] == name) return static_cast<Stage>(i);
  }
  return std::nullopt;
}

std::optional<double> time_ms(const CellResult& cell, const Quantity& quantity) {
  const Summary* summary = find_summary(cell, quantity.stage);
  if (summary == nullptr) return std::nullopt;
  return quantity.typical == Typical::kMedian ? summary->median : summary->min;
}

std::size_t Comparison::count(Verdict verdict) const {
  return static_cast<std::size_t>(
      std::count_if(cells.begin(), cells.end(),
                    [&](const ComparedCell& cell) { return cell.verdict == verdict; }));
}

std::size_t Comparison::worse() const {
  const auto of_cells = std::count_if(cells.begin(), cells.end(), [](const ComparedCell& cell) {
    return cell.fidelity.is_worse();
  });
  const auto of_pipelines = std::count_if(
      quality.begin(), quality.end(), [](const QualityChange& change) { return change.is_worse; });
  return static_cast<std::size_t>(of_cells + of_pipelines);
}

Comparison compare_sides(const Side& a, const Side& b, const CompareOptions& options) {
  return Comparing(a, b, options).run(pair_cells(a, b));
}

std::vector<std::string> notes_on_sides(const Side& a,
                                        const Side& b,
                                        const Comparison& comparison,
                                        const CompareOptions& options) {
  std::vector<std::string> notes;
  const auto machine = [](const CellResult& cell) { return cell.machine; };
  const std::set<std::string> machines_a = values_of(a, machine);
  const std::set<std::string> machines_b = values_of(b, machine);
  if (machines_a != machines_b) {
    notes.push_back(fmt::format(
        "WARNING: these are times of different machines ({} in A, {} in B), which {}",
        fmt::join(machines_a, "; "), fmt::join(machines_b, "; "),
        options.uses_ruler ? "the dense reference makes up for in part"
                           : "no verdict here makes up for; --ruler dense does in part"));
  }
  const auto program = [](const CellResult& cell) { return cell.program_version; };
  const std::set<std::string> programs_a = values_of(a, program);
  const std::set<std::string> programs_b = values_of(b, program);
  if (programs_a == programs_b) {
    notes.push_back(fmt::format("both sides ran program {}", fmt::join(programs_a, ", ")));
  } else {
    notes.push_back(fmt::format("programs: {} in A, {} in B", fmt::join(programs_a, ", "),
                                fmt::join(programs_b, ", ")));
  }
  const auto plugins_a = plugins_of(a);
  std::vector<std::string> changed;
  for (const auto& [masker, hashes] : plugins_of(b)) {
    const auto other = plugins_a.find(masker);
    if (other != plugins_a.end() && other->second != hashes) changed.push_back(masker);
  }
  if (!changed.empty()) {
    notes.push_back(fmt::format("libraries that differ: {}", fmt::join(changed, ", ")));
  }
  if (comparison.control) {
    const RatioEstimate& control = *comparison.control;
    notes.push_back(fmt::format(
        "single runs: the dense references, B over A, have a ratio of {:.3f} and scatter by {:.1f} "
        "%, which every interval includes",
        control.ratio(), 100 * control.standard_error));
    if (std::abs(control.log) > kMostDrift && !options.uses_ruler) {
      notes.emplace_back(
          "the machine was not as fast for one side as for the other: compare several runs of "
          "each side, or divide by the dense reference with --ruler dense");
    }
  }
  return notes;
}

}  // namespace maskerade::compare
