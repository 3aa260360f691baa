#include "experiments/report/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "experiments/report/heading.hpp"
#include "experiments/report/number_text.hpp"
#include "experiments/report/outcome.hpp"
#include "experiments/report/remarks.hpp"
#include "experiments/report/ruler.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// The columns of the table, in their order.
enum ColumnId : std::size_t {
  kPipeline,
  kKernel,
  kDensity,
  kRecall,
  kSampled,
  kError,
  kWorstHead,
  kOracle,
  kPrepare,
  kAppend,
  kSelect,
  kPlan,
  kAttend,
  kTotal,
  kHalfWidth,
  kRepetitions,
  kDense,
  kSpeedup,
  kRoofline,
  kBreakEven,
  kMoved,
  kStatus,
  kColumns
};

// Shares of the total from which on preparing is shown.
constexpr double kNotablePrepare = 0.005;
constexpr const char* kAbsent = "-";

std::array<TextColumn, kColumns> make_columns(bool is_trace) {
  constexpr int kStages = 5;  // what the total is the sum of, all of it or nothing
  std::array<TextColumn, kColumns> columns;
  columns[kPipeline] = {.name = "pipeline", .head = "pipeline", .is_left_aligned = true};
  columns[kKernel] = {
      .name = "kernel", .head = "kernel", .is_left_aligned = true, .gap = 2, .rank = 2};
  columns[kDensity] = {.name = "density",
                       .head = "density",
                       .subhead = "share",
                       .legend = "density: active / visible entries"};
  columns[kRecall] = {.name = "recall (certain keys)",
                      .head = "recall",
                      .subhead = "certain",
                      .rank = 6,
                      .legend =
                          "recall (certain keys): dense softmax mass on the keys selected "
                          "for certain, mean over rows"};
  columns[kSampled] = {.name = "recall (sampled keys)",
                       .head = "recall",
                       .subhead = "sampled",
                       .rank = 6,
                       .legend = "recall (sampled keys): dense softmax mass on the sampled keys"};
  columns[kError] = {.name = "rel L2 error",
                     .head = "rel L2",
                     .subhead = "error",
                     .gap = 2,
                     .least_width = 6,
                     .legend = "rel L2: error of the output against dense"};
  columns[kWorstHead] = {.name = "rel L2 error of the worst head",
                         .head = "worst",
                         .subhead = "head",
                         .least_width = 6,
                         .rank = 11,
                         .legend = "worst head: rel L2 of the head where it is largest"};
  columns[kOracle] = {.name = "oracle error",
                      .head = "oracle",
                      .subhead = "error",
                      .least_width = 7,
                      .rank = 10,
                      .legend =
                          "oracle: worst row error of the kernel against float64 over the "
                          "same keys"};
  const auto stage = [&](const char* name) {
    return TextColumn{.name = std::string(name) + " (ms)",
                      .head = name,
                      .subhead = "ms",
                      .least_width = 6,
                      .rank = kStages};
  };
  columns[kPrepare] = stage("prepare");
  columns[kPrepare].legend = "prepare: what is made once for the keys, as indexes are";
  if (is_trace) {
    columns[kPrepare].name = "prepare (ms/step)";
    columns[kPrepare].subhead = "ms/step";
  }
  columns[kPrepare].gap = 2;
  columns[kAppend] = stage("append");
  columns[kSelect] = stage("select");
  columns[kSelect].gap = 2;
  columns[kPlan] = stage("plan");
  columns[kAttend] = stage("attend");
  columns[kTotal] = stage("total");
  columns[kTotal].rank = 0;
  columns[kTotal].legend =
      is_trace ? "times: of a trace means over its steps; its total: see the heading"
               : "times: medians; total = prepare + select + plan + attend";
  columns[kHalfWidth] = {.name = "± (%)",
                         .head = "±",
                         .subhead = "%",
                         .least_width = 3,
                         .legend = "±: half of the 95 % interval of total, in percent of it"};
  columns[kRepetitions] = {
      .name = "n", .head = "n", .least_width = 3, .rank = 3, .legend = "n: repetitions"};
  columns[kDense] = stage("dense");
  columns[kDense].gap = 2;
  columns[kDense].rank = 4;
  columns[kDense].legend = "dense: in the same loop, its plan not counted";
  columns[kSpeedup] = {
      .name = "speedup", .head = "speedup", .subhead = "x", .legend = "speedup: dense / total"};
  columns[kRoofline] = {.name = "% of roofline",
                        .head = "% of",
                        .subhead = "roofline",
                        .gap = 2,
                        .rank = 8,
                        .legend =
                            "% of roofline (attend only): the least time that the measured "
                            "peaks allow for this mask / attend"};
  columns[kBreakEven] = {.name = "break-even density",
                         .head = "break-even",
                         .subhead = "density",
                         .rank = 9,
                         .legend =
                             "break-even density: where attend would take as long as dense, "
                             "were its time proportional to density"};
  columns[kMoved] = {.name = "moved (MB)",
                     .head = "moved",
                     .subhead = "MB",
                     .least_width = 6,
                     .rank = 12,
                     .legend = "moved: what selecting and attending read and write, as it ran"};
  columns[kStatus] = {
      .name = "status", .head = "status", .is_left_aligned = true, .gap = 2, .least_width = 5};
  return columns;
}

// The numbers of a result, by column; absent where nothing was measured.
using Numbers = std::array<std::optional<double>, kColumns>;

Numbers numbers_of(const CellResult& result) {
  Numbers numbers;
  if (result.counts) numbers[kDensity] = result.counts->density;
  if (result.fidelity) {
    numbers[kRecall] = result.fidelity->attention_recall;
    numbers[kSampled] = result.fidelity->sampled_share;
    numbers[kError] = result.fidelity->rel_l2_error;
    numbers[kWorstHead] = result.fidelity->rel_l2_error_max_head;
  }
  if (result.oracle) numbers[kOracle] = result.oracle->error;
  if (result.times) {
    const StageTimes& times = *result.times;
    if (times.prepare) {
      numbers[kPrepare] =
          times.prepare->median / static_cast<double>(result.decode_steps.value_or(1));
    }
    if (times.append) numbers[kAppend] = times.append->median;
    if (times.select) numbers[kSelect] = times.select->median;
    if (times.plan) numbers[kPlan] = times.plan->median;
    numbers[kAttend] = times.attend.median;
    numbers[kTotal] = times.total.median;
    numbers[kRepetitions] = static_cast<double>(times.repetitions);
    numbers[kDense] = times.dense.median;
    numbers[kSpeedup] = times.speedup();
  }
  if (const std::optional<double> half_width = result.total_relative_half_width()) {
    numbers[kHalfWidth] = 100 * *half_width;
  }
  if (result.cost) numbers[kMoved] = static_cast<double>(result.cost->total_bytes) / 1e6;
  numbers[kRoofline] = result.percent_of_attainable();
  numbers[kBreakEven] = result.break_even_density();
  return numbers;
}

std::string text_of(std::size_t column, double value) {
  switch (column) {
    case kPrepare:
    case kAppend:
    case kSelect:
    case kPlan:
    case kAttend:
    case kTotal:
    case kDense:
      return milliseconds_text(value);
    case kHalfWidth:
      return fmt::format("{:.{}f}", value, value < 9.95 ? 1 : 0);
    case kRepetitions:
      return fmt::format("{:.0f}", value);
    default:
      return number_text(value);
  }
}

using Texts = std::array<std::string, kColumns>;

Texts texts_of(const Numbers& numbers, const std::string& absent) {
  Texts texts;
  for (std::size_t i = kDensity; i < kStatus; ++i) {
    texts[i] = numbers[i] ? text_of(i, *numbers[i]) : absent;
  }
  return texts;
}

// A row of the table: one result, or the successful results of several seeds.
struct Row {
  std::vector<const CellResult*> results;

  const CellResult& first() const { return *results.front(); }
};

// The worst of the row's outcomes, with what is noisy about any of them.
std::string status_of(const Row& row) {
  CellOutcome worst = CellOutcome::kOk;
  bool any_noisy = false;
  for (const CellResult* result : row.results) {
    worst = std::max(worst, outcome_of(*result));
    any_noisy = any_noisy || is_noisy(*result);
  }
  std::string text(name_of(worst));
  if (worst == CellOutcome::kFailed) text = "FAILED";
  if (worst == CellOutcome::kUnavailable) text = "n/a";
  if (!any_noisy) return text;
  return worst == CellOutcome::kOk ? "noisy" : text + ", noisy";
}

Tone tone_of(const std::string& status) {
  if (status == "FAILED") return Tone::kError;
  if (status == "n/a") return Tone::kSecondary;
  return status == "ok" ? Tone::kPlain : Tone::kWarning;
}

std::string label_of(const CellResult& result) {
  return result.pipeline + (result.device == "cpu" ? "" : " (" + result.device + ")");
}

// The kernel that ran. The names of a device's kernels end in their family, "tiles sm80"; the
// heading gives the family, so the row does not.
std::string kernel_of(const CellResult& result) {
  if (has_kernel_mix(result)) return "mixed";
  if (result.kernel_mix.empty()) return result.kernel;
  return result.kernel_mix.substr(0, result.kernel_mix.find(' '));
}

// What the cells of a block that differ in their seeds alone have in common.
using NamesButSeed = std::tuple<std::string_view, std::string_view, std::string_view>;

NamesButSeed names_of(const CellResult& result) {
  return {result.pipeline, result.device, result.kernel};
}

std::vector<Row> rows_of(std::span<const CellResult> results) {
  std::vector<Row> rows;
  std::map<NamesButSeed, std::vector<std::size_t>> open_rows;  // that cells of other seeds join
  for (const CellResult& result : results) {
    if (result.status != CellStatus::kOk || !result.mask_seed) {
      rows.push_back({{&result}});
      continue;
    }
    std::vector<std::size_t>& places = open_rows[names_of(result)];
    const auto same = std::find_if(places.begin(), places.end(), [&](std::size_t place) {
      return rows[place].first().mask_seed != result.mask_seed;
    });
    if (same == places.end()) {
      places.push_back(rows.size());
      rows.push_back({{&result}});
    } else {
      rows[*same].results.push_back(&result);
    }
  }
  return rows;
}

// The names of the block's cells that have several seeds.
std::set<NamesButSeed> names_of_several_seeds(std::span<const CellResult> results) {
  std::map<NamesButSeed, std::uint64_t> first_seeds;
  std::set<NamesButSeed> several;
  for (const CellResult& result : results) {
    if (!result.mask_seed) continue;
    const NamesButSeed names = names_of(result);
    if (first_seeds.emplace(names, *result.mask_seed).first->second != *result.mask_seed) {
      several.insert(names);
    }
  }
  return several;
}

// What a row of several seeds says of a column, and how much the seeds differ in it.
struct Merged {
  std::optional<double> value = {};
  std::optional<double> deviation = {};
};

Merged merge(const Row& row, std::size_t column) {
  std::vector<double> values;
  for (const CellResult* result : row.results) {
    const std::optional<double> value = numbers_of(*result)[column];
    if (!value) return {};
    values.push_back(*value);
  }
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  if (column == kOracle || column == kHalfWidth) return {.value = *greatest};
  if (column == kRepetitions) return {.value = *least};
  const auto [mean, deviation] = mean_and_deviation(values);
  return {.value = mean, .deviation = deviation};
}

std::vector<TextCell> cells_of(const std::string& label, const Texts& texts, Tone tone) {
  std::vector<TextCell> cells = {{label, tone}};
  for (std::size_t i = kKernel; i < kColumns; ++i) cells.push_back({texts[i], tone});
  return cells;
}

// The line of a row, with its status and its tones.
TextRow line_of(const Row& row, const std::string& label, const Numbers& numbers) {
  Texts texts = texts_of(numbers, kAbsent);
  texts[kKernel] = kernel_of(row.first());
  for (const CellResult* result : row.results) {
    if (kernel_of(*result) != texts[kKernel]) texts[kKernel] = "mixed";
  }
  texts[kStatus] = status_of(row);
  TextRow line{cells_of(label, texts, Tone::kPlain)};
  line.cells[kStatus].tone = tone_of(texts[kStatus]);
  if (std::any_of(row.results.begin(), row.results.end(),
                  [](const CellResult* result) { return is_noisy(*result); })) {
    line.cells[kHalfWidth].tone = Tone::kWarning;
  }
  return line;
}

void add_row(const Row& row, const std::string& label, TextTable& table) {
  if (row.results.size() == 1) {
    table.rows.push_back(line_of(row, label, numbers_of(row.first())));
    table.rows.back().remarks = remarks_of(row.first());
    return;
  }
  Numbers values;
  Numbers deviations;
  for (std::size_t column = kDensity; column < kStatus; ++column) {
    const Merged merged = merge(row, column);
    values[column] = merged.value;
    deviations[column] = merged.deviation;
  }
  table.rows.push_back(line_of(row, label, values));
  const std::string name = fmt::format("  ± standard deviation over {} seeds", row.results.size());
  table.rows.push_back({cells_of(name, texts_of(deviations, ""), Tone::kSecondary)});
  table.rows.back().remarks = remarks_of(row.results);
}

bool is_shown(std::size_t column, std::span<const CellResult> results) {
  const bool is_trace = results.front().decode_steps.has_value();
  const auto any = [&](const auto& holds) {
    return std::any_of(results.begin(), results.end(), holds);
  };
  switch (column) {
    case kAppend:
      return is_trace;
    case kPrepare:
      return is_trace || any([](const CellResult& result) {
               return result.times && result.times->prepare &&
                      result.times->prepare->median >= kNotablePrepare * result.times->total.median;
             });
    case kSampled:
      return any([](const CellResult& result) {
        return result.counts && result.counts->sampled_entries > 0;
      });
    case kRoofline:
      return any([](const CellResult& result) { return result.attainable_ms().has_value(); });
    default:
      return true;
  }
}

// Leaves out the columns in which no row has anything to show.
void drop_columns(std::span<const CellResult> results, TextTable& table) {
  for (std::size_t i = kColumns; i-- > 0;) {
    if (is_shown(i, results)) continue;
    const auto at = static_cast<std::ptrdiff_t>(i);
    table.columns.erase(table.columns.begin() + at);
    for (TextRow& row : table.rows) row.cells.erase(row.cells.begin() + at);
  }
}

// Says the reason of a failure once where rows that failed one after the other have the same.
void shorten_reasons(TextTable& table) {
  std::string last;
  for (TextRow& row : table.rows) {
    for (TextCell& remark : row.remarks) {
      if (remark.tone != Tone::kError) continue;
      if (remark.text == last) {
        remark.text = "failed: as above";
      } else {
        last = remark.text;
      }
    }
  }
}

// What the words in the column of statuses mean.
std::vector<std::string> legend_of(const std::vector<Row>& rows) {
  struct Word {
    const char* text;
    const char* meaning;
  };
  constexpr std::array<Word, 5> kWords = {
      {{"noisy", "noisy: total or dense is not known as well as measure.target asks"},
       {"not matched",
        "not matched: no value of the parameter is near enough to the target of "
        "match; measured at the nearest"},
       {"unreachable",
        "unreachable: all values of the parameter lie on one side of the target; "
        "measured at the nearest"},
       {"FAILED", "FAILED: a check did not hold or the cell ended with an error"},
       {"n/a", "n/a: cannot run here"}}};
  std::vector<std::string> legend;
  for (const Word& word : kWords) {
    if (std::any_of(rows.begin(), rows.end(), [&](const Row& row) {
          return status_of(row).find(word.text) != std::string::npos;
        })) {
      legend.emplace_back(word.meaning);
    }
  }
  if (std::any_of(rows.begin(), rows.end(),
                  [](const Row& row) { return row.results.size() > 1; })) {
    legend.emplace_back("of seeds: means; oracle, ± and n are the worst");
  }
  return legend;
}

}  // namespace

TextTable table_of(std::span<const CellResult> results) {
  const std::vector<Row> rows = rows_of(results);
  const std::set<NamesButSeed> several_seeds = names_of_several_seeds(results);
  const std::array<TextColumn, kColumns> columns =
      make_columns(results.front().decode_steps.has_value());
  TextTable table{.title = results.front().workload,
                  .heading = heading_of(results),
                  .columns = {columns.begin(), columns.end()},
                  .rows = {},
                  .legend = legend_of(rows)};
  for (const Row& row : rows) {
    std::string label = label_of(row.first());
    if (row.results.size() == 1 && row.first().mask_seed &&
        several_seeds.contains(names_of(row.first()))) {
      label += fmt::format(" seed {}", *row.first().mask_seed);
    }
    add_row(row, label, table);
  }
  shorten_reasons(table);
  drop_columns(results, table);
  const std::string note = note_on_ruler(results);
  if (!note.empty()) table.notes.push_back({note, Tone::kWarning});
  return table;
}

}  // namespace maskerade
