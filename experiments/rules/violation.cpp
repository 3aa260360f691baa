#include "experiments/rules/violation.hpp"

#include <fmt/format.h>

#include <utility>

namespace maskerade::rules {

std::string to_string(const EntryLocation& location) {
  std::string text;
  for (const auto& [name, number] : {std::pair<const char*, std::int64_t>{"batch", location.batch},
                                     {"head", location.head},
                                     {"query", location.query},
                                     {"key", location.key}}) {
    if (number < 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", name, number);
  }
  return text;
}

std::string to_string(const Violation& violation) {
  const std::string where = to_string(violation.where);
  if (where.empty()) return fmt::format("{}: {}", violation.rule, violation.finding);
  return fmt::format("{}: at {}: {}", violation.rule, where, violation.finding);
}

std::ostream& operator<<(std::ostream& stream, const Violation& violation) {
  return stream << to_string(violation);
}

void ViolationList::add(const EntryLocation& where, const std::string& finding) {
  if (++count_ <= kMostViolations) first_.push_back({rule_, where, finding});
}

Violations ViolationList::violations() const {
  Violations all = first_;
  if (count_ > kMostViolations) {
    all.push_back({rule_, {}, fmt::format("{} more", count_ - kMostViolations)});
  }
  return all;
}

void append(Violations& violations, const Violations& more) {
  violations.insert(violations.end(), more.begin(), more.end());
}

}  // namespace maskerade::rules
