#include "experiments/report/failures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "experiments/report/number_text.hpp"
#include "experiments/report/ruler.hpp"

namespace maskerade {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

// The characters of a text from `at` on that are a number; 0: there is none.
std::size_t number_size(std::string_view text, std::size_t at) {
  const auto digits_end = [&](std::size_t i) {
    while (i < text.size() && is_digit(text[i])) ++i;
    return i;
  };
  std::size_t i = at;
  if (text[i] == '-' || text[i] == '+') ++i;
  if (i == text.size() || !is_digit(text[i])) return 0;
  if (text.substr(i).starts_with("0x")) {
    i += 2;
    while (i < text.size() && is_hex_digit(text[i])) ++i;
    return i - at;
  }
  i = digits_end(i);
  if (i + 1 < text.size() && text[i] == '.' && is_digit(text[i + 1])) i = digits_end(i + 1);
  if (i < text.size() && text[i] == 'e') {
    const std::size_t sign = i + 1;
    const bool has_sign = sign < text.size() && (text[sign] == '-' || text[sign] == '+');
    const std::size_t digits = sign + (has_sign ? 1 : 0);
    if (digits < text.size() && is_digit(text[digits])) i = digits_end(digits);
  }
  return i - at;
}

}  // namespace

std::string cause_of(const std::string& reason) {
  std::string cause;
  for (std::size_t i = 0; i < reason.size();) {
    const std::size_t size = number_size(reason, i);
    cause += size > 0 ? '#' : reason[i];
    i += std::max<std::size_t>(size, 1);
  }
  return cause;
}

std::string command_text(const std::vector<std::string>& words) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+%@";
  std::string command;
  for (const std::string& word : words) {
    if (!command.empty()) command += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      command += word;
      continue;
    }
    command += '\'';
    for (const char c : word) command += c == '\'' ? std::string("'\\''") : std::string(1, c);
    command += '\'';
  }
  return command;
}

void Failures::add(const CellResult& result) {
  if (result.status != CellStatus::kFailed) return;
  ++failed_;
  const std::string cause = cause_of(result.reason);
  const auto known = std::find_if(groups_.begin(), groups_.end(),
                                  [&](const Group& group) { return group.cause == cause; });
  if (known == groups_.end()) {
    groups_.push_back({cause, result.reason, {result.cell}});
  } else {
    known->cells.push_back(result.cell);
  }
}

std::string Failures::text(const std::string& command, const TerminalStyle& style) const {
  if (failed_ == 0) return "";
  std::vector<const Group*> groups;
  for (const Group& group : groups_) groups.push_back(&group);
  std::stable_sort(groups.begin(), groups.end(), [](const Group* a, const Group* b) {
    return a->cells.size() > b->cells.size();
  });
  std::string text =
      toned(fmt::format("{} failed, by cause:", failed_), Tone::kError, style.has_colors) + "\n";
  for (const Group* group : groups) {
    text += wrapped_hanging(fmt::format("{} ({}): {}", group->cells.size(),
                                        cell_numbers_text(group->cells), group->reason),
                            style.width, 2);
    const std::int64_t first = group->cells.front();
    if (command.empty() || first == CellResult::kNoNumber) continue;
    // In one piece whatever the width: it is to be copied.
    text += "      " +
            toned(fmt::format("{} {}", command, first), Tone::kSecondary, style.has_colors) + "\n";
  }
  return text;
}

}  // namespace maskerade
