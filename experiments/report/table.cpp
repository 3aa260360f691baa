#include "experiments/report/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "experiments/report/number_text.hpp"

namespace maskerade {
namespace {

enum Column : std::size_t {
  kKernel,
  kDensity,
  kRecall,
  kError,
  kOracle,
  kPrepare,
  kAppend,
  kSelect,
  kPlan,
  kAttend,
  kTotal,
  kDense,
  kSpeedup,
  kAttainable,
  kBreakEven,
  kStatus,
  kColumns
};

struct ColumnFormat {
  const char* name;
  const char* unit;
  std::size_t width;
  std::size_t gap;  // before it
  bool left;
};
constexpr std::array<ColumnFormat, kColumns> kFormats = {{{"kernel", "", 6, 2, true},
                                                          {"density", "share", 7, 1, false},
                                                          {"recall", "share", 7, 1, false},
                                                          {"rel L2", "error", 7, 2, false},
                                                          {"oracle", "error", 7, 1, false},
                                                          {"prepare", "ms/step", 7, 2, false},
                                                          {"append", "ms", 6, 1, false},
                                                          {"select", "ms", 6, 2, false},
                                                          {"plan", "ms", 6, 1, false},
                                                          {"attend", "ms", 6, 1, false},
                                                          {"total", "ms", 6, 1, false},
                                                          {"dense", "ms", 6, 2, false},
                                                          {"speedup", "x", 7, 1, false},
                                                          {"of roof", "%", 7, 2, false},
                                                          {"even at", "density", 7, 1, false},
                                                          {"status", "", 6, 2, true}}};
constexpr std::size_t kIndent = 2;

// The columns that a block of results shows: a decode trace has two stages more, for which it
// leaves out what is shown of attend besides its time.
bool is_shown(std::size_t column, bool is_trace) {
  if (column == kPrepare || column == kAppend) return is_trace;
  if (column == kAttainable || column == kBreakEven) return !is_trace;
  return true;
}

using Texts = std::array<std::string, kColumns>;

std::string padded(const std::string& text, std::size_t width, bool left) {
  return left ? fmt::format("{:<{}}", text, width) : fmt::format("{:>{}}", text, width);
}

// How the lines of a block are laid out.
struct Layout {
  std::size_t label_width;
  bool is_trace;
};

// One line: a label in the first column, then the texts. A label too long for its column stands on
// a line of its own.
std::string line_of(const std::string& label, const Layout& layout, const Texts& texts) {
  const std::size_t label_width = layout.label_width;
  std::string line = std::string(kIndent, ' ');
  if (label.size() > label_width) {
    line += label + "\n" + std::string(kIndent + label_width, ' ');
  } else {
    line += padded(label, label_width, true);
  }
  for (std::size_t i = 0; i < kColumns; ++i) {
    if (!is_shown(i, layout.is_trace)) continue;
    line +=
        std::string(kFormats[i].gap, ' ') + padded(texts[i], kFormats[i].width, kFormats[i].left);
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line + "\n";
}

std::size_t room_for_labels(bool is_trace) {
  std::size_t room = kTableWidth - kIndent;
  for (std::size_t i = 0; i < kColumns; ++i) {
    if (is_shown(i, is_trace)) room -= kFormats[i].gap + kFormats[i].width;
  }
  return room;
}

// The numbers of a result, by column; absent where nothing was measured.
using Numbers = std::array<std::optional<double>, kColumns>;

Numbers numbers_of(const CellResult& result) {
  Numbers numbers;
  if (result.counts) numbers[kDensity] = result.counts->density;
  if (result.fidelity) {
    numbers[kRecall] = result.fidelity->attention_recall;
    numbers[kError] = result.fidelity->rel_l2_error;
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
    numbers[kDense] = times.dense.median;
    numbers[kSpeedup] = times.speedup();
  }
  numbers[kAttainable] = result.percent_of_attainable();
  numbers[kBreakEven] = result.break_even_density();
  return numbers;
}

std::string text_of(std::size_t column, double value) {
  if (column >= kPrepare && column <= kDense) return milliseconds_text(value);
  return number_text(value);
}

Texts texts_of(const Numbers& numbers, const std::string& absent) {
  Texts texts;
  for (std::size_t i = kDensity; i < kStatus; ++i) {
    texts[i] = numbers[i] ? text_of(i, *numbers[i]) : absent;
  }
  return texts;
}

bool is_unreachable(const CellResult& result) {
  return result.match && result.match->found &&
         result.match->found->status == MatchStatus::kUnreachable;
}

std::string status_text(const CellResult& result) {
  switch (result.status) {
    case CellStatus::kOk:
      return is_unreachable(result) ? "unreachable" : "ok";
    case CellStatus::kFailed:
      return "FAILED";
    case CellStatus::kUnavailable:
      return "n/a";
  }
  return "";
}

std::string label_of(const CellResult& result) {
  return result.pipeline + (result.device == "cpu" ? "" : " (" + result.device + ")");
}

bool has_kernel_mix(const CellResult& result) {
  return result.kernel_mix.find(',') != std::string::npos;
}

std::string kernel_of(const CellResult& result) {
  if (has_kernel_mix(result)) return "mixed";
  return result.kernel_mix.empty() ? result.kernel : result.kernel_mix;
}

// "density 0.1 reached: 0.1001 at oracle_topk.budget 328, ..."
std::string match_text(const MatchFacts& match) {
  const MatchFacts::Found& found = *match.found;
  const std::string target =
      fmt::format("{} {}", name_of(match.quantity), short_number_text(match.target));
  std::string text;
  switch (found.status) {
    case MatchStatus::kMatched:
      text = target + " reached";
      break;
    case MatchStatus::kNearest:
      text = target + " lies between two values of the parameter, the nearer one is";
      break;
    case MatchStatus::kUnreachable:
      text = fmt::format("{} is unreachable, between {} and {}, the nearest is", target,
                         number_text(found.least), number_text(found.greatest));
      break;
  }
  return text + fmt::format(": {} at {} {}; {} probes in {} ms, not counted",
                            number_text(found.reached), match.parameter, found.value, found.probes,
                            milliseconds_text(found.search_ms));
}

// "guarantee of 10 % in 95 %: ..."
std::string coverage_text(const Coverage& coverage) {
  const auto percent = [](double share) { return number_text(100 * share) + "%"; };
  const auto with_bounds = [&](const RateBounds& rate) {
    return fmt::format("{} [{}, {}]", percent(rate.rate), percent(rate.lo), percent(rate.hi));
  };
  return fmt::format(
      "its denominator is off by more than {} in {} of {} rows x {} seeds, stated: {} at most; "
      "worst row {}, {} of the rows contradict: {}",
      percent(coverage.stated.epsilon), with_bounds(coverage.overall), coverage.rows,
      coverage.seeds, percent(coverage.stated.delta), with_bounds(coverage.worst),
      coverage.contradicting_rows, verdict_of(coverage));
}

// What stands under a row.
std::string remarks_of(const CellResult& result) {
  std::string text;
  if (result.match && result.match->found) {
    text += wrapped(match_text(*result.match), kTableWidth, kIndent + 4);
  }
  if (!result.reason.empty()) {
    text += wrapped(std::string(name_of(result.status)) + ": " + result.reason, kTableWidth,
                    kIndent + 4);
  }
  if (result.coverage) text += wrapped(coverage_text(*result.coverage), kTableWidth, kIndent + 4);
  if (has_kernel_mix(result)) {
    text += wrapped("kernels by row blocks: " + result.kernel_mix, kTableWidth, kIndent + 4);
  }
  if (result.counts && result.counts->empty_rows > 0) {
    text += wrapped(
        fmt::format("{} rows attend to nothing: their output is 0", result.counts->empty_rows),
        kTableWidth, kIndent + 4);
  }
  if (result.cost && result.cost->index_spans_future) {
    text += wrapped("its index holds keys that its queries do not see", kTableWidth, kIndent + 4);
  }
  return text;
}

bool differ_in_seed_only(const CellResult& a, const CellResult& b) {
  return a.pipeline == b.pipeline && a.device == b.device && a.kernel == b.kernel && a.mask_seed &&
         b.mask_seed && a.mask_seed != b.mask_seed;
}

// A row of the table: one result, or the successful seeds of one.
struct Row {
  std::vector<const CellResult*> results;
};

std::vector<Row> rows_of(std::span<const CellResult> results) {
  std::vector<Row> rows;
  for (const CellResult& result : results) {
    const auto same = std::find_if(rows.begin(), rows.end(), [&](const Row& row) {
      return result.status == CellStatus::kOk && row.results.front()->status == CellStatus::kOk &&
             differ_in_seed_only(*row.results.front(), result);
    });
    if (same == rows.end()) {
      rows.push_back({{&result}});
    } else {
      same->results.push_back(&result);
    }
  }
  return rows;
}

// Whether another result of the block has the same names and another seed.
bool is_one_of_seeds(const CellResult& result, std::span<const CellResult> results) {
  return std::any_of(results.begin(), results.end(),
                     [&](const CellResult& other) { return differ_in_seed_only(result, other); });
}

// What the searches of several seeds found.
std::string merged_match_text(const Row& row) {
  const std::optional<MatchFacts>& match = row.results.front()->match;
  if (!match) return "";
  std::size_t reached = 0;
  std::int64_t probes = 0;
  double search_ms = 0;
  std::string values;
  for (const CellResult* result : row.results) {
    if (!result->match || !result->match->found) return "";
    const MatchFacts::Found& found = *result->match->found;
    if (found.status == MatchStatus::kMatched) ++reached;
    probes += found.probes;
    search_ms += found.search_ms;
    values += (values.empty() ? "" : ", ") + found.value;
  }
  return wrapped(fmt::format("{} {} reached with {} of {} seeds: {} {}; {} probes in {} ms, not "
                             "counted",
                             name_of(match->quantity), short_number_text(match->target), reached,
                             row.results.size(), match->parameter, values, probes,
                             milliseconds_text(search_ms)),
                 kTableWidth, kIndent + 4);
}

// What stands under the row of several seeds.
std::string merged_remarks_of(const Row& row) {
  std::string text = merged_match_text(row);
  for (const CellResult* result : row.results) {
    if (!result->coverage) continue;
    text += wrapped(
        fmt::format("from seed {}: {}", *result->mask_seed, coverage_text(*result->coverage)),
        kTableWidth, kIndent + 4);
  }
  return text;
}

std::string format_merged(const Row& row, const Layout& layout) {
  const double count = static_cast<double>(row.results.size());
  Numbers mean;
  Numbers spread;
  for (std::size_t column = kDensity; column < kStatus; ++column) {
    double sum = 0;
    double largest = 0;
    bool all = true;
    for (const CellResult* result : row.results) {
      const std::optional<double> value = numbers_of(*result)[column];
      all = all && value.has_value();
      sum += value.value_or(0);
      largest = std::max(largest, value.value_or(0));
    }
    if (!all) continue;
    if (column == kOracle) {
      mean[column] = largest;
      continue;
    }
    mean[column] = sum / count;
    double squares = 0;
    for (const CellResult* result : row.results) {
      const double difference = *numbers_of(*result)[column] - *mean[column];
      squares += difference * difference;
    }
    const double deviation = std::sqrt(squares / (count - 1));
    // Rationale: equal numbers must not show the rounding of their mean.
    spread[column] = deviation > 1e-12 * std::abs(*mean[column]) ? deviation : 0.0;
  }
  const CellResult& first = *row.results.front();
  Texts texts = texts_of(mean, "-");
  texts[kKernel] = kernel_of(first);
  for (const CellResult* result : row.results) {
    if (kernel_of(*result) != texts[kKernel]) texts[kKernel] = "mixed";
  }
  texts[kStatus] = "ok";
  return line_of(label_of(first), layout, texts) +
         line_of(fmt::format("  +- over {} seeds", row.results.size()), layout,
                 texts_of(spread, "")) +
         merged_remarks_of(row);
}

std::string format_single(const CellResult& result,
                          const std::string& label,
                          const Layout& layout) {
  Texts texts = texts_of(numbers_of(result), "-");
  texts[kKernel] = kernel_of(result);
  texts[kStatus] = status_text(result);
  return line_of(label, layout, texts) + remarks_of(result);
}

std::string heading_of(std::span<const CellResult> results) {
  const CellResult& first = results.front();
  std::string workload = first.workload;
  std::string run = fmt::format("{} thread{}", first.threads, first.threads == 1 ? "" : "s");
  if (first.facts) {
    const AttentionShape& shape = first.facts->shape;
    workload += fmt::format(
        ": batch {}, heads {} (kv {}), queries {}, keys {}{}, head_dim {}, {}, {}", shape.batch,
        shape.query_heads, shape.kv_heads, shape.query_len, shape.key_len,
        first.decode_steps ? fmt::format(" and {} decode steps", *first.decode_steps) : "",
        shape.head_dim, name_of(first.facts->dtype), first.facts->causal ? "causal" : "not causal");
    run = first.facts->source + "; " + run;
  }
  const auto checked = std::find_if(results.begin(), results.end(), [](const CellResult& result) {
    return result.oracle.has_value() && result.facts.has_value();
  });
  if (checked == results.end()) {
    run += "; not compared with the oracle";
  } else {
    run += fmt::format("; oracle on {} of {} rows, tolerance {}{}", checked->oracle->rows,
                       checked->facts->shape.rows() * checked->decode_steps.value_or(1),
                       short_number_text(first.tolerance),
                       first.tolerance_is_loosened ? " (LOOSENED by the experiment)" : "");
  }
  if (first.decode_steps) {
    run += fmt::format("; total = prepare / {} + append + select + plan + attend",
                       *first.decode_steps);
  }
  return wrapped(workload, kTableWidth, 0) + wrapped(run, kTableWidth, kIndent);
}

}  // namespace

std::string format_block(std::span<const CellResult> results) {
  if (results.empty()) return "";
  const std::vector<Row> rows = rows_of(results);
  std::vector<std::string> labels;
  std::size_t longest = std::string_view("  +- over 3 seeds").size();
  const bool is_trace = results.front().decode_steps.has_value();
  const std::size_t room = room_for_labels(is_trace);
  for (const Row& row : rows) {
    const CellResult& first = *row.results.front();
    labels.push_back(label_of(first));
    if (row.results.size() == 1 && is_one_of_seeds(first, results)) {
      labels.back() += fmt::format(" seed {}", *first.mask_seed);
    }
    longest = std::max(longest, labels.back().size());
  }
  const Layout layout{std::min(longest, room), is_trace};
  Texts names;
  Texts units;
  for (std::size_t i = 0; i < kColumns; ++i) {
    names[i] = kFormats[i].name;
    units[i] = kFormats[i].unit;
  }
  std::string text =
      heading_of(results) + line_of("pipeline", layout, names) + line_of("", layout, units);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    text += rows[i].results.size() > 1 ? format_merged(rows[i], layout)
                                       : format_single(*rows[i].results.front(), labels[i], layout);
  }
  return text;
}

std::string format_legend() {
  return "density: active / visible entries; recall: dense softmax mass on the keys selected for "
         "certain, mean over rows\n"
         "rel L2: error of the output against dense; oracle: worst row error of the kernel against "
         "float64 over the same keys\n"
         "times: medians; total = prepare + select + plan + attend; dense runs in the same loop, "
         "its "
         "plan not counted\n"
         "speedup: dense / total; FAILED: a check did not hold or the cell ended with an error; "
         "n/a: cannot run here\n"
         "unreachable: no value of the parameter gives what match asks for; measured at the "
         "nearest\n"
         "of roof: the least time that the measured peaks allow for this mask / attend; even at: "
         "the "
         "density at which\n"
         "attend would take as long as dense, were its time proportional to density\n";
}

std::string format_counts(std::size_t ok,
                          std::size_t failed,
                          std::size_t unavailable,
                          double wall_ms) {
  return fmt::format("{} ok, {} failed, {} unavailable in {:.1f} s\n", ok, failed, unavailable,
                     wall_ms / 1000);
}

}  // namespace maskerade
