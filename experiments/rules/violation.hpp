#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace maskerade::rules {

// Which part of a problem a violation is about: an entry, a row, a head. -1: none in particular.
struct EntryLocation {
  std::int64_t batch = -1;
  std::int64_t head = -1;
  std::int64_t query = -1;
  std::int64_t key = -1;

  friend bool operator==(const EntryLocation&, const EntryLocation&) = default;
};
// "batch 0, head 3, query 17, key 5", without what is -1; "" when all is.
std::string to_string(const EntryLocation& location);

// A rule that does not hold, where, and what was found there.
struct Violation {
  std::string rule;  // the rule in a few words: "the previous mask is kept"
  EntryLocation where;
  std::string finding;  // a plain sentence with the numbers

  friend bool operator==(const Violation&, const Violation&) = default;
};
// "the previous mask is kept: at batch 0, head 3, query 17, key 5: ..."
std::string to_string(const Violation& violation);
std::ostream& operator<<(std::ostream& stream, const Violation& violation);

// What a rule finds; empty where it holds. The functions of this room return the first
// kMostViolations of a rule and, where there are more, one last violation that says how many.
using Violations = std::vector<Violation>;
inline constexpr std::size_t kMostViolations = 8;

// Collects the violations of one rule.
class ViolationList {
 public:
  explicit ViolationList(std::string rule) : rule_(std::move(rule)) {}

  void add(const EntryLocation& where, const std::string& finding);
  void add(const std::string& finding) { add({}, finding); }
  std::size_t count() const noexcept { return count_; }
  Violations violations() const;

 private:
  std::string rule_;
  Violations first_;
  std::size_t count_ = 0;
};

// Puts `more` after what is in `violations`.
void append(Violations& violations, const Violations& more);

}  // namespace maskerade::rules
