#include "experiments/match/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// After so many probes in a row that only repeat a value at an end of the interval, the search
// takes it that the values jump between the two.
constexpr int kMostRepeats = 10;

struct Probe {
  std::int64_t step = 0;
  double value = 0;
};

// A search so far: makes probes and keeps the nearest of them.
class Search {
 public:
  Search(double target, double tolerance, const SearchProbe& probe)
      : target_(target), tolerance_(tolerance), probe_(probe) {}

  // Probes a step; nullopt: it is refused.
  std::optional<Probe> try_at(std::int64_t step) {
    const std::optional<double> value = probe_(step);
    if (!value) return std::nullopt;
    const Probe probe{step, *value};
    if (std::isnan(probe.value)) throw Error("the quantity to match is not a number");
    if (result_.probes == 0) result_.least = result_.greatest = probe.value;
    result_.least = std::min(result_.least, probe.value);
    result_.greatest = std::max(result_.greatest, probe.value);
    if (result_.probes == 0 || distance(probe.value) < distance(result_.reached)) {
      result_.step = step;
      result_.reached = probe.value;
    }
    ++result_.probes;
    return probe;
  }

  // Probes a step that must not be refused; else throws Error.
  Probe at(std::int64_t step) {
    if (const std::optional<Probe> probe = try_at(step)) return *probe;
    throw Error(fmt::format("number {} of the values to search is refused", step));
  }

  // Probes an end of the range; while it is refused, the steps end + direction * (1, 3, 7, ...)
  // before `other`, in this order. Throws Error if all are refused.
  Probe at_end(std::int64_t end, int direction, std::int64_t other) {
    for (std::int64_t move = 0; move < std::abs(other - end) || move == 0; move = 2 * move + 1) {
      if (const std::optional<Probe> probe = try_at(end + direction * move)) return *probe;
    }
    throw Error("every value to search is refused");
  }

  bool is_matched() const { return distance(result_.reached) <= tolerance_ * target_; }
  // Whether the target lies between two values.
  bool is_between(const Probe& a, const Probe& b) const {
    return (a.value < target_) != (b.value < target_);
  }
  double distance(double value) const { return std::abs(value - target_); }

  // The step where the straight line through two probes meets the target, moved strictly between
  // them. Requires a step between them.
  std::int64_t on_line(const Probe& a, const Probe& b) const {
    const double share = (target_ - a.value) / (b.value - a.value);
    const double width = static_cast<double>(b.step - a.step);
    const auto offset = std::isfinite(share) ? std::llround(share * width) : (b.step - a.step) / 2;
    return a.step + std::clamp<std::int64_t>(offset, 1, b.step - a.step - 1);
  }

  // The result; its status is `otherwise` unless a probe matches.
  SearchResult finish(MatchStatus otherwise) {
    result_.status = is_matched() ? MatchStatus::kMatched : otherwise;
    return result_;
  }

 private:
  double target_;
  double tolerance_;
  const SearchProbe& probe_;
  SearchResult result_;
};

// Probes at distances from `origin` that double, beginning with `distance`, until the target lies
// between the values of the last two probes; `a` is the probe before the first. Returns the last
// one; `a` becomes the one before it. Stops early when the values moved away from the target twice
// in a row, when a probe matches, and at the step `last`.
Probe double_distance(
    Search& search, std::int64_t origin, std::int64_t distance, std::int64_t last, Probe& a) {
  Probe b = a;
  int away = 0;
  while (b.step < last && away < 2 && !search.is_matched()) {
    a = b;
    b = search.at(last - origin > distance ? origin + distance : last);
    if (search.is_between(a, b)) break;
    away = search.distance(b.value) > search.distance(a.value) ? away + 1 : 0;
    distance = distance > last / 2 ? last : 2 * distance;
  }
  return b;
}

}  // namespace

std::string_view name_of(MatchStatus status) noexcept {
  switch (status) {
    case MatchStatus::kMatched:
      return "matched";
    case MatchStatus::kNearest:
      return "nearest";
    case MatchStatus::kUnreachable:
      return "unreachable";
  }
  return "";
}

std::optional<MatchStatus> parse_match_status(std::string_view name) noexcept {
  for (const MatchStatus status :
       {MatchStatus::kMatched, MatchStatus::kNearest, MatchStatus::kUnreachable}) {
    if (name_of(status) == name) return status;
  }
  return std::nullopt;
}

SearchResult search(const SearchRange& range,
                    double target,
                    double tolerance,
                    const SearchProbe& probe) {
  Search search(target, tolerance, probe);
  Probe a = search.at_end(range.first, 1, range.last);
  if (search.is_matched()) return search.finish(MatchStatus::kUnreachable);
  Probe b = a;
  if (a.step < range.last) {
    b = range.doubles ? double_distance(search, a.step, 1, range.last, a)
                      : search.at_end(range.last, -1, a.step);
  }
  const bool is_short = b.step >= range.last && !search.is_between(a, b) &&
                        (b.step == a.step || search.distance(b.value) < search.distance(a.value));
  if (is_short && !search.is_matched() && range.limit > b.step) {
    const std::int64_t distance = std::max<std::int64_t>(b.step - range.first, 1);
    a = b;
    b = double_distance(search, range.first, 2 * distance, range.limit, a);
  }
  if (search.is_matched() || !search.is_between(a, b)) {
    return search.finish(MatchStatus::kUnreachable);
  }
  int repeats = 0;
  for (bool halves = false; b.step - a.step > 1 && !search.is_matched() && repeats < kMostRepeats;
       halves = !halves) {
    const Probe middle = search.at(halves ? a.step + (b.step - a.step) / 2 : search.on_line(a, b));
    const bool is_known = middle.value == a.value || middle.value == b.value;
    repeats = is_known ? repeats + 1 : 0;
    (search.is_between(a, middle) ? b : a) = middle;
  }
  return search.finish(MatchStatus::kNearest);
}

}  // namespace maskerade
