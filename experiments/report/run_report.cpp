#include "experiments/report/run_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/report/table.hpp"

namespace maskerade {

void RunReport::add(std::span<const CellResult> results) {
  comparison_.add(results);
  for (const CellResult& result : results) {
    counts_.add(result);
    failures_.add(result);
  }
}

std::string RunReport::show(const TextTable& table) {
  // What is new comes behind what it follows in this table.
  auto next = legend_.begin();
  for (const std::string& entry : legend_within(table, style_.width)) {
    const auto known = std::find(legend_.begin(), legend_.end(), entry);
    next = (known == legend_.end() ? legend_.insert(next, entry) : known) + 1;
  }
  return to_terminal(table, style_) + "\n";
}

std::string RunReport::block(std::span<const CellResult> results) {
  if (results.empty()) return "";
  add(results);
  return show(table_of(results));
}

std::string RunReport::legend() const {
  std::string text = comparison_.text(style_.width);
  const std::string entries = packed(legend_, style_.width);
  for (std::size_t begin = 0; begin < entries.size();) {
    const std::size_t end = entries.find('\n', begin);
    text += toned(entries.substr(begin, end - begin), Tone::kSecondary, style_.has_colors) + "\n";
    begin = end + 1;
  }
  return text;
}

std::string RunReport::end(const RunEnd& end) const {
  std::string text = counts_.text(end.not_run);
  if (end.seconds) text += fmt::format(" in {:.1f} s", *end.seconds);
  if (end.is_strict && counts_.noisy() > 0) {
    text += fmt::format("; {} noisy cell{} an error (--strict)", counts_.noisy(),
                        counts_.noisy() == 1 ? " is" : "s are");
  }
  return text + "\n" + failures_.text(end.command, style_);
}

}  // namespace maskerade
