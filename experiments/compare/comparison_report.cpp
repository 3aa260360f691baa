#include "experiments/compare/comparison_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "experiments/report/number_text.hpp"
#include "framework/base/text.hpp"

namespace maskerade::compare {
namespace {

// Names of cells that a note lists.
constexpr std::size_t kMostNames = 5;

int rank_of(const ComparedCell& cell) {
  if (cell.fidelity.is_worse()) return 0;
  switch (cell.verdict) {
    case Verdict::kSlower:
      return 1;
    case Verdict::kFaster:
      return 2;
    case Verdict::kUnclear:
      return 3;
    case Verdict::kSame:
      return 4;
  }
  return 5;
}

bool is_unremarkable(const ComparedCell& cell) {
  return rank_of(cell) == 4 && cell.fidelity.better.empty() && !cell.fidelity.has_other_mask;
}

std::vector<const ComparedCell*> in_order(const Comparison& comparison) {
  std::vector<const ComparedCell*> cells;
  for (const ComparedCell& cell : comparison.cells) cells.push_back(&cell);
  const auto place = [](const ComparedCell& cell) {
    return std::tuple(rank_of(cell), cell.estimate ? -std::abs(cell.estimate->log) : 0.0);
  };
  std::stable_sort(cells.begin(), cells.end(), [&](const ComparedCell* a, const ComparedCell* b) {
    return place(*a) < place(*b);
  });
  return cells;
}

std::string ratio_text(double ratio) {
  return ratio >= 10 || ratio < 0.1 ? number_text(ratio) : fmt::format("{:.3f}", ratio);
}

std::string interval_text(const RatioEstimate& estimate, const VerdictRule& rule) {
  const RatioInterval interval = estimate.interval(rule.confidence());
  return fmt::format("{}..{}", ratio_text(interval.lo), ratio_text(interval.hi));
}

// "median total", "least select / dense".
std::string quantity_text(const CompareOptions& options) {
  const bool is_median = options.quantity.typical == Typical::kMedian;
  return fmt::format("{} {}{}", is_median ? "median" : "least", name_of(options.quantity.stage),
                     options.uses_ruler ? " / dense" : "");
}

TextCell verdict_cell(Verdict verdict) {
  const bool is_slower = verdict == Verdict::kSlower;
  const bool is_unclear = verdict == Verdict::kUnclear;
  return {std::string(name_of(verdict)), is_slower    ? Tone::kError
                                         : is_unclear ? Tone::kWarning
                                                      : Tone::kPlain};
}

TextCell fidelity_cell(const FidelityChange& change) {
  if (change.is_worse()) return {"WORSE", Tone::kError};
  if (!change.better.empty()) return {"better"};
  if (change.has_other_mask) return {"other mask", Tone::kWarning};
  return {"same", Tone::kSecondary};
}

TextRow row_of(const ComparedCell& cell, const CompareOptions& options) {
  const auto time_text = [&](const std::optional<double>& value) -> std::string {
    if (!value) return "-";
    return options.uses_ruler ? ratio_text(*value) : milliseconds_text(*value);
  };
  TextRow row;
  row.cells = {{name_of_cell(*cell.a)}, {time_text(cell.a_ms)}, {time_text(cell.b_ms)}};
  row.cells.push_back({cell.estimate ? ratio_text(cell.estimate->ratio()) : "-"});
  row.cells.push_back(
      {cell.estimate ? interval_text(*cell.estimate, options.rule) : "-", Tone::kSecondary});
  row.cells.push_back({std::to_string(cell.runs), Tone::kSecondary});
  row.cells.push_back(verdict_cell(cell.verdict));
  row.cells.push_back(fidelity_cell(cell.fidelity));
  for (const std::string& text : cell.fidelity.worse) row.remarks.push_back({text, Tone::kError});
  for (const std::string& text : cell.fidelity.better) {
    row.remarks.push_back({"better: " + text, Tone::kSecondary});
  }
  if (!cell.reason.empty()) row.remarks.push_back({cell.reason, Tone::kSecondary});
  return row;
}

std::string summary_of_same(const std::vector<const ComparedCell*>& same) {
  const auto ratio_of = [](const ComparedCell* cell) { return cell->estimate->log; };
  const auto [least, greatest] = std::minmax_element(
      same.begin(), same.end(),
      [&](const ComparedCell* a, const ComparedCell* b) { return ratio_of(a) < ratio_of(b); });
  return fmt::format("{} cells are SAME, with ratios from {} to {}; --all shows them", same.size(),
                     ratio_text((*least)->estimate->ratio()),
                     ratio_text((*greatest)->estimate->ratio()));
}

std::string only_text(const std::vector<const CellResult*>& cells, const char* side) {
  std::string text = fmt::format("only in {}: ", side);
  for (std::size_t i = 0; i < std::min(cells.size(), kMostNames); ++i) {
    text += (i == 0 ? "" : "; ") + name_of_cell(*cells[i]);
  }
  if (cells.size() > kMostNames) text += fmt::format("; and {} more", cells.size() - kMostNames);
  return text;
}

std::string quality_text(const QualityChange& change, double error) {
  const RatioInterval interval = change.ratio.interval(1 - error);
  const std::string mean =
      fmt::format("{}: rel L2 error x {} (95% interval {}..{}), mean over {} windows",
                  change.pipeline, ratio_text(change.ratio.ratio()), ratio_text(interval.lo),
                  ratio_text(interval.hi), change.windows);
  return (change.is_worse ? "WORSE: " : change.is_better ? "better: " : "") + mean;
}

// A pipeline is told of where its error changed for certain, or where single windows of it do not
// count and some have another error.
bool is_told(const QualityChange& change) {
  return change.is_worse || change.is_better ||
         (change.is_random && std::abs(change.ratio.log) > std::log1p(kErrorMargin));
}

}  // namespace

std::string name_of_cell(const CellResult& cell) {
  std::vector<std::string> others;
  if (cell.device != "cpu") others.push_back(cell.device);
  const bool has_own_kernel = cell.kernel != "auto" && cell.kernel != cell.pipeline;
  if (has_own_kernel && !cell.kernel.empty()) others.push_back(cell.kernel);
  if (cell.mask_seed.value_or(0) != 0) others.push_back(fmt::format("seed {}", *cell.mask_seed));
  std::string name = cell.pipeline + ", " + cell.workload;
  if (!others.empty()) name += fmt::format(" ({})", fmt::join(others, ", "));
  return name;
}

TextTable table_of(const Comparison& comparison,
                   const std::vector<std::string>& notes,
                   const ReportOptions& options) {
  const CompareOptions& compared = options.compared;
  const VerdictRule& rule = compared.rule;
  const std::string margin = short_number_text(100 * rule.margin);
  const std::string quantity = quantity_text(compared);
  const std::string unit = compared.uses_ruler ? "" : "ms";
  TextTable table{
      .title = "",
      .heading = {fmt::format("{}, B over A; {} cells are judged together at {} %", quantity,
                              comparison.cells.size(), short_number_text(100 * rule.error))},
      .columns = {},
      .rows = {}};
  table.heading.insert(table.heading.end(), notes.begin(), notes.end());
  table.columns = {
      {.name = "cell", .head = "cell", .is_left_aligned = true},
      {.name = unit.empty() ? "A" : "A (ms)", .head = "A", .subhead = unit, .gap = 2},
      {.name = unit.empty() ? "B" : "B (ms)", .head = "B", .subhead = unit, .gap = 2},
      {.name = "ratio", .head = "ratio", .subhead = "B / A", .gap = 2},
      {.name = "95% interval",
       .head = "interval",
       .subhead = "95%",
       .gap = 2,
       .rank = 1,
       .legend = "interval: of the cell by itself"},
      {.name = "runs",
       .head = "runs",
       .gap = 2,
       .rank = kSpareRank,
       .legend = "runs: of each side, or pairs"},
      {.name = "time", .head = "time", .is_left_aligned = true, .gap = 2, .least_width = 7},
      {.name = "results",
       .head = "results",
       .is_left_aligned = true,
       .gap = 2,
       .legend = "results: output error, recall, oracle error and status, WORSE where B's are"}};
  std::vector<const ComparedCell*> same;
  for (const ComparedCell* cell : in_order(comparison)) {
    if (is_unremarkable(*cell)) {
      same.push_back(cell);
    } else {
      table.rows.push_back(row_of(*cell, compared));
    }
  }
  if (options.shows_all || same.size() <= kMostSame) {
    for (const ComparedCell* cell : same) table.rows.push_back(row_of(*cell, compared));
  } else {
    table.notes.push_back({summary_of_same(same), Tone::kSecondary});
  }
  for (const QualityChange& change : comparison.quality) {
    if (!is_told(change)) continue;
    table.notes.push_back(
        {quality_text(change, rule.error), change.is_worse ? Tone::kError : Tone::kSecondary});
  }
  for (const auto& [cells, side] :
       {std::pair(&comparison.only_a, "A"), std::pair(&comparison.only_b, "B")}) {
    if (!cells->empty()) table.notes.push_back({only_text(*cells, side), Tone::kWarning});
  }
  table.legend = {
      fmt::format("SAME: the interval lies within {} %", margin),
      fmt::format("SLOWER, FASTER: by more than {} %, sure for all cells together", margin),
      "UNCLEAR: neither is shown" + (options.remedy.empty() ? "" : ", " + options.remedy)};
  return table;
}

std::string last_line(const Comparison& comparison) {
  std::size_t better = 0;
  for (const ComparedCell& cell : comparison.cells) better += !cell.fidelity.better.empty();
  for (const QualityChange& change : comparison.quality) better += change.is_better;
  std::string text =
      fmt::format("{} cell{}:", comparison.cells.size(), comparison.cells.size() == 1 ? "" : "s");
  const char* separator = " ";
  for (const Verdict verdict :
       {Verdict::kSlower, Verdict::kFaster, Verdict::kSame, Verdict::kUnclear}) {
    text += fmt::format("{}{} {}", separator, comparison.count(verdict), name_of(verdict));
    separator = ", ";
  }
  text += fmt::format("; results: {} worse, {} better", comparison.worse(), better);
  if (!comparison.only_a.empty()) text += fmt::format("; {} only in A", comparison.only_a.size());
  if (!comparison.only_b.empty()) text += fmt::format("; {} only in B", comparison.only_b.size());
  return text;
}

std::vector<std::string> json_lines_of(const Comparison& comparison,
                                       const CompareOptions& options) {
  using Json = nlohmann::ordered_json;
  const auto number = [](const std::optional<double>& value) {
    return value && std::isfinite(*value) ? Json(*value) : Json();
  };
  const auto texts = [](const std::vector<std::string>& list) {
    Json json = Json::array();
    for (const std::string& text : list) json.push_back(storable(text));
    return json;
  };
  std::vector<std::string> lines;
  for (const ComparedCell& cell : comparison.cells) {
    const CellResult& a = *cell.a;
    Json json;
    json["experiment"] = storable(a.experiment);
    json["workload"] = storable(a.workload);
    json["pipeline"] = storable(a.pipeline);
    json["device"] = a.device;
    json["kernel"] = a.kernel;
    json["mask_seed"] = a.mask_seed ? Json(*a.mask_seed) : Json();
    json["cell_a"] = a.cell;
    json["cell_b"] = cell.b->cell;
    json["quantity"] = quantity_text(options);
    json["a"] = number(cell.a_ms);
    json["b"] = number(cell.b_ms);
    json["runs"] = cell.runs;
    for (const char* name : {"ratio", "ratio_lo", "ratio_hi"}) json[name] = nullptr;
    if (cell.estimate) {
      const RatioInterval interval = cell.estimate->interval(options.rule.confidence());
      json["ratio"] = number(cell.estimate->ratio());
      json["ratio_lo"] = number(interval.lo);
      json["ratio_hi"] = number(interval.hi);
    }
    json["adjusted_probability"] = cell.adjusted_probability;
    json["verdict"] = name_of(cell.verdict);
    json["reason"] = storable(cell.reason);
    json["worse"] = texts(cell.fidelity.worse);
    json["better"] = texts(cell.fidelity.better);
    json["has_other_mask"] = cell.fidelity.has_other_mask;
    lines.push_back(json.dump());
  }
  return lines;
}

}  // namespace maskerade::compare
