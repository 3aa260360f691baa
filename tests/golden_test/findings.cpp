#include "tests/golden_test/findings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

namespace maskerade::golden {
namespace {

bool agree(double got, double expected, const Tolerance& tolerance) {
  if (got == expected) return true;
  if (!std::isfinite(got) || !std::isfinite(expected)) {
    return std::isnan(got) && std::isnan(expected);
  }
  return std::abs(got - expected) <= tolerance.absolute + tolerance.relative * std::abs(expected);
}

}  // namespace

void Findings::fail(const std::string& what) {
  if (failures_++ == 0) first_ = what;
}

std::string Findings::first_failure() const {
  return failures_ > 1 ? fmt::format("{} (and {} more checks)", first_, failures_ - 1) : first_;
}

template <typename Got, typename Expected>
void Findings::compare(const std::string& what,
                       std::span<const Got> got,
                       std::span<const Expected> expected,
                       Tolerance tolerance,
                       const std::vector<std::int64_t>& shape) {
  if (got.size() != expected.size()) {
    fail(fmt::format("{}: {} elements, expected {}", what, got.size(), expected.size()));
    return;
  }
  std::int64_t first = -1;
  std::int64_t differing = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (agree(static_cast<double>(got[i]), static_cast<double>(expected[i]), tolerance)) continue;
    if (differing++ == 0) first = static_cast<std::int64_t>(i);
  }
  if (differing == 0) return;
  const auto at = static_cast<std::size_t>(first);
  fail(fmt::format("{} at {}: {}, expected {}; {} of {} differ", what, index_text(first, shape),
                   got[at], expected[at], differing, got.size()));
}

template void Findings::compare(const std::string&,
                                std::span<const float>,
                                std::span<const float>,
                                Tolerance,
                                const std::vector<std::int64_t>&);
template void Findings::compare(const std::string&,
                                std::span<const double>,
                                std::span<const float>,
                                Tolerance,
                                const std::vector<std::int64_t>&);
template void Findings::compare(const std::string&,
                                std::span<const std::int64_t>,
                                std::span<const std::int64_t>,
                                Tolerance,
                                const std::vector<std::int64_t>&);

std::string index_text(std::int64_t index, const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> indices(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] < 1) return fmt::format("[{}]", index);
    indices[axis] = index % shape[axis];
    index /= shape[axis];
  }
  return fmt::format("[{}]", fmt::join(indices, ", "));
}

}  // namespace maskerade::golden
