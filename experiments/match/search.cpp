#include "experiments/match/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// That many probes with the value of one of the ends: there is a step between them.
constexpr int kNoNews = 10;

struct Probe {
  std::int64_t step = 0;
  double value = 0;
};

class Search {
 public:
  Search(double target, double tolerance, const SearchProbe& probe)
      : target_(target), tolerance_(tolerance), probe_(probe) {}

  // nullopt: refused.
  std::optional<Probe> try_at(std::int64_t step) {
    const std::optional<double> value = probe_(step);
    if (!value) return std::nullopt;
    const Probe made{step, *value};
    if (std::isnan(made.value)) throw Error("the quantity to match is not a number");
    if (result_.probes == 0) result_.least = result_.greatest = made.value;
    result_.least = std::min(result_.least, made.value);
    result_.greatest = std::max(result_.greatest, made.value);
    if (result_.probes == 0 || distance(made.value) < distance(result_.reached)) {
      result_.step = step;
      result_.reached = made.value;
    }
    ++result_.probes;
    return made;
  }

  Probe at(std::int64_t step) {
    if (const std::optional<Probe> made = try_at(step)) return *made;
    throw Error(fmt::format("number {} of the values to search is refused", step));
  }

  // At an end, or at the first of the steps end + direction * (1, 3, 7, ...) before `other` that is
  // not refused.
  Probe at_end(std::int64_t end, int direction, std::int64_t other) {
    for (std::int64_t move = 0; move < std::abs(other - end) || move == 0; move = 2 * move + 1) {
      if (const std::optional<Probe> made = try_at(end + direction * move)) return *made;
    }
    throw Error("every value to search is refused");
  }

  bool is_matched() const { return distance(result_.reached) <= tolerance_ * target_; }
  bool is_between(const Probe& a, const Probe& b) const {
    return (a.value < target_) != (b.value < target_);
  }
  double distance(double value) const { return std::abs(value - target_); }

  // The step in (a, b), not next to each other, where the line through their values meets the
  // target.
  std::int64_t on_line(const Probe& a, const Probe& b) const {
    const double share = (target_ - a.value) / (b.value - a.value);
    const double width = static_cast<double>(b.step - a.step);
    const auto offset = std::isfinite(share) ? std::llround(share * width) : (b.step - a.step) / 2;
    return a.step + std::clamp<std::int64_t>(offset, 1, b.step - a.step - 1);
  }

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

// Probes at growing distances from `a`, which moves along, until two of them have the target
// between them. Ends early where the values go away from the target twice in a row.
Probe double_distance(Search& search, const SearchRange& range, Probe& a) {
  const std::int64_t start = a.step;
  Probe b = a;
  int away = 0;
  for (std::int64_t distance = 1; b.step < range.last && away < 2 && !search.is_matched();) {
    a = b;
    b = search.at(range.last - start > distance ? start + distance : range.last);
    if (search.is_between(a, b)) break;
    away = search.distance(b.value) > search.distance(a.value) ? away + 1 : 0;
    distance *= 2;
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
  if (search.is_matched() || a.step >= range.last) {
    return search.finish(MatchStatus::kUnreachable);
  }
  Probe b =
      range.doubles ? double_distance(search, range, a) : search.at_end(range.last, -1, a.step);
  if (search.is_matched() || !search.is_between(a, b)) {
    return search.finish(MatchStatus::kUnreachable);
  }
  int without_news = 0;
  for (bool halves = false; b.step - a.step > 1 && !search.is_matched() && without_news < kNoNews;
       halves = !halves) {
    const Probe middle = search.at(halves ? a.step + (b.step - a.step) / 2 : search.on_line(a, b));
    const bool is_known = middle.value == a.value || middle.value == b.value;
    without_news = is_known ? without_news + 1 : 0;
    (search.is_between(a, middle) ? b : a) = middle;
  }
  return search.finish(MatchStatus::kNearest);
}

}  // namespace maskerade
