#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace maskerade::golden {

// |got - expected| <= absolute + relative * |expected|.
struct Tolerance {
  double relative = 0;
  double absolute = 0;
};

// What the checks of one case found.
class Findings {
 public:
  // A check that did not hold. The first one is kept.
  void fail(const std::string& what);
  // The case cannot be checked, and why.
  void not_covered(const std::string& why) { not_covered_ = why; }

  bool failed() const noexcept { return failures_ > 0; }
  bool covered() const noexcept { return not_covered_.empty(); }
  const std::string& reason() const noexcept { return not_covered_; }
  // The first failure, and how many more there are.
  std::string first_failure() const;

  // Compares element by element; NaN and infinities agree only with themselves. The failure names
  // the first element, by `shape` when that fits, and how many differ.
  template <typename Got, typename Expected>
  void compare(const std::string& what,
               std::span<const Got> got,
               std::span<const Expected> expected,
               Tolerance tolerance,
               const std::vector<std::int64_t>& shape);
  template <typename Got, typename Expected>
  void compare(const std::string& what,
               const std::vector<Got>& got,
               const std::vector<Expected>& expected,
               Tolerance tolerance,
               const std::vector<std::int64_t>& shape) {
    compare(what, std::span<const Got>(got), std::span<const Expected>(expected), tolerance, shape);
  }

 private:
  std::string first_;
  int failures_ = 0;
  std::string not_covered_;
};

// "[0, 1, 2, 5]" of a flat index.
std::string index_text(std::int64_t index, const std::vector<std::int64_t>& shape);

}  // namespace maskerade::golden
