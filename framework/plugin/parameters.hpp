#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/sdk/masker_abi.h"

namespace maskerade {

// A parameter as a user wrote it. Values are texts in the grammar of their unit:
//   tokens  128 | 2% | 5% of visible      share   0.05 | 5%
//   count, blocks  whole numbers          number  any real number
//   choice  one of the listed names       file    a path (absolute by now)
//   text    any
struct GivenParameter {
  std::string name;  // "" for the first parameter of the table, as in {masker: value}
  std::vector<std::string> values;
  bool is_list = false;  // written as a list
};

// The validated arguments of one masker, in the order of its table, with defaults filled in. Owns
// what view() points to, which stays where it is when this is moved.
class Arguments {
 public:
  Arguments() = default;
  Arguments(Arguments&&) = default;
  Arguments& operator=(Arguments&&) = default;
  // A copy would point into the original.
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  const std::vector<maskerade_argument>& view() const noexcept { return arguments_; }
  // Name and value of every parameter, as a user would write them.
  const std::vector<std::pair<std::string, std::string>>& resolved() const noexcept {
    return resolved_;
  }

 private:
  friend Arguments bind_arguments(const maskerade_masker_descriptor& masker,
                                  const std::vector<GivenParameter>& given);
  std::deque<std::string> texts_;
  std::deque<std::vector<maskerade_value>> values_;
  std::vector<maskerade_argument> arguments_;
  std::vector<std::pair<std::string, std::string>> resolved_;
};

// Validates what a user gave against a masker's table. Throws ParameterError: an unknown name (with
// the nearest accepted one), a value of the wrong form or out of range, a required one missing, one
// given twice.
Arguments bind_arguments(const maskerade_masker_descriptor& masker,
                         const std::vector<GivenParameter>& given);

// A copy of `arguments` in which the parameter of that number in the table has the value `text`, as
// a user would write it. Throws ParameterError when the table does not accept the value.
Arguments rebind_argument(const maskerade_masker_descriptor& masker,
                          const Arguments& arguments,
                          std::size_t parameter,
                          const std::string& text);

// Whether a masker with these arguments may add entries with probability < 1.
bool samples(const maskerade_masker_descriptor& masker, const Arguments& arguments);

// P(|D' - D| > epsilon D) <= delta, for every row's softmax denominator D and its estimate D'.
struct Guarantee {
  double epsilon = 0;
  double delta = 0;
};
// The guarantee that a masker with these arguments states; nullopt when it states none.
std::optional<Guarantee> stated_guarantee(const maskerade_masker_descriptor& masker,
                                          const Arguments& arguments);

// Keys [begin, end).
struct KeyPopulation {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  bool holds(std::int64_t key) const noexcept { return begin <= key && key < end; }
  bool overlaps(const KeyPopulation& other) const noexcept {
    return std::max(begin, other.begin) < std::min(end, other.end);
  }
};
// The keys, of key_len, from which a sampler with these arguments draws; nullopt when the arguments
// do not bound them, or bound them by the keys that a row sees.
std::optional<KeyPopulation> population_of(const maskerade_masker_descriptor& masker,
                                           const Arguments& arguments,
                                           std::int64_t key_len);
// Whether two samplers draw from disjoint keys for some key_len. They never do where one states no
// population, where both begin at the first key, or where both end at the last.
bool can_be_disjoint(const maskerade_masker_descriptor& a,
                     const Arguments& arguments_of_a,
                     const maskerade_masker_descriptor& b,
                     const Arguments& arguments_of_b);

// The files that a parameter's values name, in order; none unless its unit is file.
std::vector<std::string> files_of(const maskerade_parameter& parameter,
                                  const maskerade_argument& argument);

// "tokens", "share", "count", "blocks", "number", "choice", "file", "text".
std::string_view unit_name(std::uint32_t unit) noexcept;

// The accepted values of a parameter in words: "in (0, 1]", "sum | max", ">= 0".
std::string range_text(const maskerade_parameter& parameter);

}  // namespace maskerade
