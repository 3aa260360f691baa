#include "experiments/report/views.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <variant>

#include "experiments/measure/statistics.hpp"
#include "experiments/report/number_text.hpp"
#include "experiments/report/outcome.hpp"
#include "experiments/results/columns.hpp"

namespace maskerade {
namespace {

// ---- Methods

// A number of a cell, by which methods are compared.
struct Measure {
  TextColumn column;
  std::optional<double> (*value)(const CellResult& result);
};

std::vector<Measure> measures() {
  return {
      {{.name = "density",
        .head = "density",
        .subhead = "share",
        .legend = "density: active / visible entries"},
       [](const CellResult& result) {
         return result.counts ? std::optional(result.counts->density) : std::nullopt;
       }},
      {{.name = "rel L2 error",
        .head = "rel L2",
        .subhead = "error",
        .gap = 2,
        .legend = "rel L2: error of the output against dense"},
       [](const CellResult& result) {
         return result.fidelity ? std::optional(result.fidelity->rel_l2_error) : std::nullopt;
       }},
      {{.name = "recall (certain keys)",
        .head = "recall",
        .subhead = "certain",
        .gap = 2,
        .rank = 2,
        .legend = "recall (certain keys): dense softmax mass on the keys selected for certain"},
       [](const CellResult& result) {
         return result.fidelity ? std::optional(result.fidelity->attention_recall) : std::nullopt;
       }},
      {{.name = "speedup",
        .head = "speedup",
        .subhead = "x",
        .gap = 2,
        .legend = "speedup: dense / total"},
       [](const CellResult& result) {
         return result.times ? std::optional(result.times->speedup()) : std::nullopt;
       }},
      {{.name = "moved (MB)",
        .head = "moved",
        .subhead = "MB",
        .gap = 2,
        .rank = kSpareRank,
        .legend = "moved: what selecting and attending read and write, as it ran"},
       [](const CellResult& result) {
         return result.cost ? std::optional(static_cast<double>(result.cost->total_bytes) / 1e6)
                            : std::nullopt;
       }},
  };
}

struct Method {
  std::string name;
  std::vector<const CellResult*> cells;

  const CellResult& first() const { return *cells.front(); }
};

bool is_same_method(const CellResult& a, const CellResult& b) {
  return a.pipeline == b.pipeline && a.device == b.device && a.kernel == b.kernel;
}

// Whether each head has one query at a time.
bool is_decode(const CellResult& result) {
  return result.decode_steps || (result.facts && result.facts->shape.query_len == 1);
}

bool is_same_kind(const CellResult& a, const CellResult& b) {
  return a.experiment == b.experiment && is_decode(a) == is_decode(b);
}

TextColumn deviation_column(const TextColumn& column) {
  return {.name = "± of " + column.name,
          .head = "±",
          .least_width = 6,
          .rank = column.rank == 0 ? 1 : column.rank};
}

TextRow row_of(const Method& method, bool shows_kernels) {
  std::string name = method.name;
  if (method.first().device != "cpu") name += " (" + method.first().device + ")";
  if (shows_kernels) name += ", " + method.first().kernel;
  TextRow row;
  row.cells.push_back({name});
  OutcomeCounts counts;
  for (const CellResult* cell : method.cells) counts.add(*cell);
  const std::size_t lost = counts.of(CellOutcome::kFailed) + counts.of(CellOutcome::kUnavailable);
  row.cells.push_back({fmt::format("{}", counts.cells() - lost)});
  for (const Measure& measure : measures()) {
    std::vector<double> values;
    for (const CellResult* cell : method.cells) {
      if (cell->status != CellStatus::kOk) continue;
      if (const std::optional<double> value = measure.value(*cell)) values.push_back(*value);
    }
    const Spread spread = values.empty() ? Spread{} : mean_and_deviation(values);
    row.cells.push_back({values.empty() ? "-" : number_text(spread.mean)});
    row.cells.push_back({values.size() < 2 ? "" : number_text(spread.deviation), Tone::kSecondary});
  }
  std::string status;
  Tone tone = Tone::kWarning;
  const auto add = [&](std::size_t count, const std::string& word) {
    if (count > 0) status += fmt::format("{}{} {}", status.empty() ? "" : ", ", count, word);
  };
  if (counts.of(CellOutcome::kFailed) > 0) tone = Tone::kError;
  add(counts.of(CellOutcome::kFailed), "FAILED");
  add(counts.of(CellOutcome::kNotMatched), "not matched");
  add(counts.of(CellOutcome::kUnreachable), "unreachable");
  add(counts.noisy(), "noisy");
  add(counts.of(CellOutcome::kUnavailable), "n/a");
  row.cells.push_back(status.empty() ? TextCell{"ok"} : TextCell{status, tone});
  return row;
}

TextTable method_table(const std::vector<const CellResult*>& cells) {
  std::vector<Method> methods;
  std::vector<std::string> workloads;
  bool shows_kernels = false;
  for (const CellResult* cell : cells) {
    if (std::find(workloads.begin(), workloads.end(), cell->workload) == workloads.end()) {
      workloads.push_back(cell->workload);
    }
    const auto known = std::find_if(methods.begin(), methods.end(), [&](const Method& method) {
      return is_same_method(method.first(), *cell);
    });
    if (known == methods.end()) {
      methods.push_back({cell->pipeline, {cell}});
    } else {
      known->cells.push_back(cell);
    }
    for (const Method& method : methods) {
      shows_kernels = shows_kernels || (method.first().pipeline == cell->pipeline &&
                                        method.first().kernel != cell->kernel);
    }
  }
  const CellResult& first = *cells.front();
  const char* kind = is_decode(first) ? "decode" : "prefill";
  TextTable table{
      .title = first.experiment,
      .heading = {fmt::format("{}: {}, means over {} workload{}", first.experiment, kind,
                              workloads.size(), workloads.size() == 1 ? "" : "s")},
      .columns = {},
      .rows = {}};
  table.columns.push_back({.name = "pipeline", .head = "pipeline", .is_left_aligned = true});
  table.columns.push_back({.name = "cells", .head = "cells", .gap = 2});
  for (const Measure& measure : measures()) {
    table.columns.push_back(measure.column);
    table.columns.back().least_width = 7;
    table.columns.push_back(deviation_column(measure.column));
  }
  table.columns.push_back(
      {.name = "status", .head = "status", .is_left_aligned = true, .gap = 2, .least_width = 5});
  for (const Method& method : methods) table.rows.push_back(row_of(method, shows_kernels));
  table.legend.emplace_back("±: standard deviation over workloads, layers and seeds");
  return table;
}

// ---- Columns

std::string text_with(const ColumnValue& value, bool has_all_digits) {
  const double* number = std::get_if<double>(&value);
  if (number == nullptr || has_all_digits) return text_of(value);
  return number_text(*number);
}

// Whether a value comes before another: numbers before texts.
bool comes_before(const ColumnValue& a, const ColumnValue& b) {
  if (const auto* text = std::get_if<std::string>(&a)) {
    const auto* other = std::get_if<std::string>(&b);
    return other != nullptr && *text < *other;
  }
  const auto number_of = [](const ColumnValue& value) {
    return std::visit(
        [](const auto& held) {
          if constexpr (std::is_convertible_v<decltype(held), double>) {
            return static_cast<double>(held);
          } else {
            return 0.0;
          }
        },
        value);
  };
  if (std::holds_alternative<std::string>(b)) return true;
  return number_of(a) < number_of(b);
}

// NaN has no place in an order.
bool is_last(const ColumnValue& value) {
  const double* number = std::get_if<double>(&value);
  return std::holds_alternative<std::monostate>(value) ||
         (number != nullptr && std::isnan(*number));
}

}  // namespace

std::vector<TextTable> method_tables(std::span<const CellResult> results) {
  std::vector<std::vector<const CellResult*>> kinds;
  for (const CellResult& result : results) {
    const auto known = std::find_if(kinds.begin(), kinds.end(), [&](const auto& cells) {
      return is_same_kind(*cells.front(), result);
    });
    if (known == kinds.end()) {
      kinds.push_back({&result});
    } else {
      known->push_back(&result);
    }
  }
  std::vector<TextTable> tables;
  for (const auto& cells : kinds) tables.push_back(method_table(cells));
  return tables;
}

TextTable column_table(std::span<const CellResult> results,
                       const std::vector<std::string>& names,
                       bool has_all_digits) {
  TextTable table;
  std::vector<const Column<CellResult>*> columns;
  for (const std::string& name : names) {
    const Column<CellResult>& column = cell_column(name);
    columns.push_back(&column);
    const bool is_text = column.type == ColumnType::kText || column.type == ColumnType::kJson;
    table.columns.push_back({.name = column.name,
                             .head = column.name,
                             .subhead = column.unit,
                             .is_left_aligned = is_text || columns.size() == 1,
                             .gap = 2});
  }
  for (const CellResult& result : results) {
    TextRow& row = table.rows.emplace_back();
    for (const Column<CellResult>* column : columns) {
      row.cells.push_back({text_with(column->get(result), has_all_digits)});
    }
  }
  return table;
}

void sort_by(const std::string& order, std::vector<CellResult>& results) {
  const std::size_t colon = order.find(':');
  const std::string direction = colon == std::string::npos ? "asc" : order.substr(colon + 1);
  if (direction != "asc" && direction != "desc") {
    throw ConfigError({}, "--sort " + order +
                              ": give COLUMN, COLUMN:asc or COLUMN:desc, for example --sort "
                              "speedup:desc");
  }
  const Column<CellResult>& column = cell_column(order.substr(0, colon));
  std::stable_sort(results.begin(), results.end(), [&](const CellResult& a, const CellResult& b) {
    const ColumnValue one = column.get(a);
    const ColumnValue other = column.get(b);
    if (is_last(one) || is_last(other)) return !is_last(one) && is_last(other);
    return direction == "asc" ? comes_before(one, other) : comes_before(other, one);
  });
}

}  // namespace maskerade
