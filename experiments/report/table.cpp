#include "experiments/report/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "experiments/report/heading.hpp"
#include "experiments/report/match_text.hpp"
#include "experiments/report/number_text.hpp"
#include "experiments/report/remarks.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// The columns of the table after the label.
enum TableColumn : std::size_t {
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
  std::size_t gap;  // spaces before it
  bool is_left_aligned;
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

// Whether a block of results shows a column. Decode traces have two more stages; to make room for
// them, the columns on how near attend comes to its bounds are left out.
bool is_shown(std::size_t column, bool is_trace) {
  if (column == kPrepare || column == kAppend) return is_trace;
  if (column == kAttainable || column == kBreakEven) return !is_trace;
  return true;
}

using Texts = std::array<std::string, kColumns>;

std::string padded(const std::string& text, std::size_t width, bool is_left_aligned) {
  return is_left_aligned ? fmt::format("{:<{}}", text, width) : fmt::format("{:>{}}", text, width);
}

// What decides how wide the lines of a block are.
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
    line += std::string(kFormats[i].gap, ' ') +
            padded(texts[i], kFormats[i].width, kFormats[i].is_left_aligned);
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line + "\n";
}

// The width that labels may have where the longest status has `status_size` characters.
std::size_t room_for_labels(bool is_trace, std::size_t status_size) {
  std::size_t room = kTableWidth - kIndent;
  room -= std::max(status_size, kFormats[kStatus].width) - kFormats[kStatus].width;
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

// A row of the table: one result, or the successful results of several seeds.
struct Row {
  std::vector<const CellResult*> results;
};

std::string status_text(const Row& row) {
  switch (row.results.front()->status) {
    case CellStatus::kOk:
      return std::any_of(row.results.begin(), row.results.end(),
                         [](const CellResult* result) { return is_unreachable(*result); })
                 ? "unreachable"
                 : "ok";
    case CellStatus::kFailed:
      return "FAILED";
    case CellStatus::kUnavailable:
      return "n/a";
  }
  return "";
}

std::string label_of(const CellResult& result) {
  return printable(result.pipeline + (result.device == "cpu" ? "" : " (" + result.device + ")"));
}

// The kernel that ran. The names of a device's kernels end in their family, "tiles sm80"; the
// heading gives the family, so the row does not.
std::string kernel_of(const CellResult& result) {
  if (has_kernel_mix(result)) return "mixed";
  if (result.kernel_mix.empty()) return printable(result.kernel);
  return printable(result.kernel_mix.substr(0, result.kernel_mix.find(' ')));
}

// The remarks under a row.
std::string lines_of(const std::vector<std::string>& remarks) {
  std::string text;
  for (const std::string& remark : remarks) text += wrapped(remark, kTableWidth, kIndent + 4);
  return text;
}

// The lines above the rows.
std::string format_heading(std::span<const CellResult> results, const Layout& layout) {
  std::string text;
  for (const std::string& line : heading_of(results)) {
    text += wrapped(line, kTableWidth, text.empty() ? 0 : kIndent);
  }
  Texts names;
  Texts units;
  for (std::size_t i = 0; i < kColumns; ++i) {
    names[i] = kFormats[i].name;
    units[i] = kFormats[i].unit;
  }
  return text + line_of("pipeline", layout, names) + line_of("", layout, units);
}

bool differ_in_seed_only(const CellResult& a, const CellResult& b) {
  return a.pipeline == b.pipeline && a.device == b.device && a.kernel == b.kernel && a.mask_seed &&
         b.mask_seed && a.mask_seed != b.mask_seed;
}

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
  texts[kStatus] = status_text(row);
  return line_of(label_of(first), layout, texts) +
         line_of(fmt::format("  +- over {} seeds", row.results.size()), layout,
                 texts_of(spread, "")) +
         lines_of(remarks_of(row.results));
}

std::string format_single(const Row& row, const std::string& label, const Layout& layout) {
  const CellResult& result = *row.results.front();
  Texts texts = texts_of(numbers_of(result), "-");
  texts[kKernel] = kernel_of(result);
  texts[kStatus] = status_text(row);
  return line_of(label, layout, texts) + lines_of(remarks_of(result));
}

}  // namespace

std::string format_block(std::span<const CellResult> results) {
  if (results.empty()) return "";
  const std::vector<Row> rows = rows_of(results);
  std::vector<std::string> labels;
  std::size_t longest = std::string_view("  +- over 3 seeds").size();
  const bool is_trace = results.front().decode_steps.has_value();
  std::size_t status_size = 0;
  for (const Row& row : rows) {
    const CellResult& first = *row.results.front();
    status_size = std::max(status_size, status_text(row).size());
    labels.push_back(label_of(first));
    if (row.results.size() == 1 && is_one_of_seeds(first, results)) {
      labels.back() += fmt::format(" seed {}", *first.mask_seed);
    }
    longest = std::max(longest, labels.back().size());
  }
  const Layout layout{std::min(longest, room_for_labels(is_trace, status_size)), is_trace};
  std::string text = format_heading(results, layout);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    text += rows[i].results.size() > 1 ? format_merged(rows[i], layout)
                                       : format_single(rows[i], labels[i], layout);
  }
  return text;
}

std::string format_legend() {
  return R"(density: active / visible entries; recall: dense softmax mass on the keys selected for certain, mean over rows
rel L2: error of the output against dense; oracle: worst row error of the kernel against float64 over the same keys
times: medians (of a decode trace: means over its steps); total = prepare + select + plan + attend (of a trace: see its heading)
dense: runs in the same loop, its plan not counted; speedup: dense / total
FAILED: a check did not hold or the cell ended with an error; n/a: cannot run here
unreachable: no value of the parameter gives what match asks for; measured at the nearest
of roof: the least time that the measured peaks allow for this mask / attend
even at: the density at which attend would take as long as dense, were its time proportional to density
)";
}

void StatusCounts::add(CellStatus status) {
  switch (status) {
    case CellStatus::kOk:
      ++ok;
      return;
    case CellStatus::kFailed:
      ++failed;
      return;
    case CellStatus::kUnavailable:
      ++unavailable;
      return;
  }
}

std::string format_counts(const StatusCounts& counts) {
  return fmt::format("{} ok, {} failed, {} unavailable", counts.ok, counts.failed,
                     counts.unavailable);
}

}  // namespace maskerade
