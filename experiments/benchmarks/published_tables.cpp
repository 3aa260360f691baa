#include "experiments/benchmarks/published_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "experiments/report/number_text.hpp"
#include "framework/base/error.hpp"

namespace maskerade {

// The text of published_tables.json, which the build compiles in.
extern const char* const kPublishedTables;

namespace {

// In a file of compare_pytorch.py the `reference` of a row against the published code is this word
// and the mode.
constexpr std::string_view kPublishedCode = "hub ";

template <typename Key>
std::string time_text(const std::map<Key, double>& times, const Key& key) {
  const auto at = times.find(key);
  return at == times.end() ? "-" : milliseconds_text(at->second);
}

// Aligns the rows of a table. Columns are as wide as their widest cell; the first two and the last
// are aligned to the left, the others to the right.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool is_text = i < 2 || i + 1 == row.size();
      line += is_text ? fmt::format("  {:<{}}", row[i], widths[i])
                      : fmt::format("  {:>{}}", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

// One published table as text; "" when none of its cases is in `ours`.
std::string format_table(const nlohmann::json& table,
                         const std::set<int>& thread_counts,
                         const MedianTimes& ours,
                         const TimesToday& today) {
  std::vector<std::vector<std::string>> rows = {{"row", "how", "published ms"}};
  for (const int threads : thread_counts) {
    rows[0].push_back(fmt::format("today ms, {} thr", threads));
    rows[0].push_back(fmt::format("ours ms, {} thr", threads));
  }
  rows[0].push_back("note");
  for (const nlohmann::json& row : table["rows"]) {
    const std::string name = row["case"];
    const std::string mode = row["how"];
    const bool is_timed = std::any_of(thread_counts.begin(), thread_counts.end(), [&](int threads) {
      return ours.contains({name, threads});
    });
    if (!is_timed) continue;
    const nlohmann::json& published = row["published_ms"];
    std::vector<std::string> cells = {row["row"], mode,
                                      published.is_null() ? "-" : milliseconds_text(published)};
    for (const int threads : thread_counts) {
      const CaseRun run{name, threads};
      cells.push_back(time_text(today, {run, mode}));
      cells.push_back(time_text(ours, run));
    }
    cells.push_back(row.value("note", ""));
    rows.push_back(std::move(cells));
  }
  if (rows.size() == 1) return "";
  constexpr std::size_t kWidth = 118;
  return fmt::format("\n{}: {}\n{}{}{}", table["name"].get<std::string>(),
                     table["title"].get<std::string>(),
                     wrapped("Published in: " + table["source"].get<std::string>(), kWidth, 2),
                     aligned(rows), wrapped(table["stands"], kWidth, 2));
}

}  // namespace

TimesToday read_times_today(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    throw DataError(file.string(), "", "is no regular file; name one that exists");
  }
  std::ifstream stream(file);
  const auto json = nlohmann::json::parse(stream, nullptr, false);
  if (!json.is_object() || !json.contains("rows") || !json["rows"].is_array()) {
    throw DataError(file.string(), "", "is not a file that compare_pytorch.py wrote with --json");
  }
  TimesToday today;
  for (const nlohmann::json& row : json["rows"]) {
    const std::string reference = row.value("reference", "");
    if (!reference.starts_with(kPublishedCode) || !row["theirs_ms"].is_number()) continue;
    today[{{row.value("case", ""), row.value("threads", 0)},
           reference.substr(kPublishedCode.size())}] = row["theirs_ms"];
  }
  return today;
}

std::string format_published_tables(const MedianTimes& ours, const TimesToday& today) {
  std::set<int> thread_counts;
  for (const auto& [run, ms] : ours) thread_counts.insert(run.threads);
  std::string text;
  const nlohmann::json published = nlohmann::json::parse(kPublishedTables);
  for (const nlohmann::json& table : published["tables"]) {
    text += format_table(table, thread_counts, ours, today);
  }
  return text;
}

std::string format_scaling(const MedianTimes& ours) {
  struct Point {
    double log_key_len;
    double log_ms;
  };
  std::map<CaseRun, std::vector<Point>> series;  // `name` is the name of the series
  constexpr std::string_view kTable = "scaling/";
  constexpr std::string_view kKeys = "/keys=";
  for (const auto& [run, ms] : ours) {
    const auto& [name, threads] = run;
    const std::size_t at = name.find(kKeys);
    if (!name.starts_with(kTable) || at == std::string::npos) continue;
    series[{name.substr(kTable.size(), at - kTable.size()), threads}].push_back(
        {.log_key_len = std::log(std::stod(name.substr(at + kKeys.size()))),
         .log_ms = std::log(ms)});
  }
  std::string text;
  for (const auto& [run, points] : series) {
    if (points.size() < 3) continue;
    const auto n = static_cast<double>(points.size());
    double mean_x = 0;
    double mean_y = 0;
    for (const auto& [x, y] : points) {
      mean_x += x / n;
      mean_y += y / n;
    }
    double covariance = 0;
    double variance = 0;
    for (const auto& [x, y] : points) {
      covariance += (x - mean_x) * (y - mean_y);
      variance += (x - mean_x) * (x - mean_x);
    }
    text += fmt::format("  {}, {} threads: time grows with key_len to the power {:.2f}\n", run.name,
                        run.threads, covariance / variance);
  }
  return text.empty() ? "" : "\nscaling: how time grows with the number of keys\n" + text;
}

}  // namespace maskerade
