#include "experiments/sources/detail/mass_calibration.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "framework/select/exponentials.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kSink = 0;
constexpr std::size_t kNear = 1;
constexpr std::size_t kHitter = 2;
constexpr std::size_t kGroups = 3;

constexpr int kMostSteps = 64;
constexpr double kLongestStep = 32;     // nats
constexpr double kLongestNearStep = 8;  // nats, before the near keys have held too much
constexpr double kAccepted = 1e-3;      // distance of shares from their aims at which to stop
constexpr double kSettled = 0.3;        // log-odds from the aim at which near keys are looked at
constexpr double kExact = 1e-3;         // and at which nothing is left to do
constexpr double kNarrow = 1e-3;        // nats between which the near keys' strength is known
// Of more keys than this a few are looked at first: of those in no group one run in kThinning.
constexpr std::size_t kManyKeys = 1024;
constexpr std::size_t kRunKeys = 16;
constexpr std::size_t kThinning = 8;

// The mass of a set of keys, and the sums of mass times the slope of each group's logits.
struct Moments {
  double mass = 0;
  std::array<double, kGroups> slopes = {};

  void add(double weight, const QueryLogits& logits, std::size_t key) {
    mass += weight;
    slopes[kSink] += weight * double{logits.sink[key]};
    slopes[kNear] += weight * double{logits.near[key]};
    slopes[kHitter] += weight * double{logits.hitter[key]};
  }
};

// Few of the keys that a query sees: those of the groups, and of the others a sample, whose logits
// are raised so that it weighs as much as they do.
class ThinnedKeys {
 public:
  ThinnedKeys(const QueryLogits& logits, const KeyGroups& groups) {
    std::size_t hitter = 0;
    std::size_t others = 0;
    std::vector<std::size_t> sampled;  // places in content_
    for (std::size_t k = 0; k < logits.content.size(); ++k) {
      const auto key = static_cast<std::int64_t>(k);
      const bool is_hitter = hitter < groups.hitters.size() && groups.hitters[hitter] == key;
      const bool is_near = key >= groups.near_begin && key < groups.near_end;
      if (is_hitter) {
        ++hitter;
        hitters_.push_back(static_cast<std::int32_t>(content_.size()));
      }
      if (!is_hitter && !is_near && key >= groups.sinks) {
        ++others;
        if (k / kRunKeys % kThinning != 0) continue;
        sampled.push_back(content_.size());
      }
      if (key == groups.near_begin) near_begin_ = static_cast<std::int64_t>(content_.size());
      content_.push_back(logits.content[k]);
      sink_.push_back(logits.sink[k]);
      near_.push_back(logits.near[k]);
      hitter_.push_back(logits.hitter[k]);
    }
    near_end_ = near_begin_ + groups.near_end - groups.near_begin;
    sinks_ = groups.sinks;
    for (const std::size_t place : sampled) {
      content_[place] += static_cast<float>(
          std::log(static_cast<double>(others) / static_cast<double>(sampled.size())));
    }
  }

  QueryLogits logits() const { return {content_, sink_, near_, hitter_}; }
  KeyGroups groups() const {
    return {.sinks = sinks_, .near_begin = near_begin_, .near_end = near_end_, .hitters = hitters_};
  }

 private:
  std::vector<float> content_;
  std::vector<float> sink_;
  std::vector<float> near_;
  std::vector<float> hitter_;
  std::int64_t sinks_ = 0;
  std::int64_t near_begin_ = 0;
  std::int64_t near_end_ = 0;
  std::vector<std::int32_t> hitters_;
};

// ln(mass / (all - mass)), finite for every share from 0 to 1.
double log_odds(double mass, double all) {
  return std::log(std::max(mass, std::numeric_limits<double>::min())) -
         std::log(std::max(all - mass, std::numeric_limits<double>::epsilon() * all));
}

}  // namespace

// How far the groups of a query are from their aims at some strengths.
struct MassCalibration::Residual {
  double miss = 0;                     // the largest distance of a share from its aim
  Three log_odds = {};                 // of a share, less those of its aim
  std::array<Three, kGroups> slope{};  // of log_odds by the strengths
};

MassCalibration::Residual MassCalibration::residual_at(const Three& strengths,
                                                       const QueryLogits& logits,
                                                       const KeyGroups& groups,
                                                       const Three& aims) {
  const std::size_t keys = logits.content.size();
  logits_.resize(keys);
  weights_.resize(keys);
  const auto sink = static_cast<float>(strengths[kSink]);
  const auto near = static_cast<float>(strengths[kNear]);
  const auto hitter = static_cast<float>(strengths[kHitter]);
  for (std::size_t k = 0; k < keys; ++k) {
    logits_[k] = logits.content[k] + sink * logits.sink[k] + near * logits.near[k] +
                 hitter * logits.hitter[k];
  }
  exponentials(logits_, 1, *std::max_element(logits_.begin(), logits_.end()), weights_);
  std::array<Moments, kGroups> of;
  const auto add = [&](std::size_t group, std::int64_t key) {
    const auto k = static_cast<std::size_t>(key);
    of[group].add(weights_[k], logits, k);
  };
  for (std::int64_t k = 0; k < groups.sinks; ++k) add(kSink, k);
  for (std::int64_t k = groups.near_begin; k < groups.near_end; ++k) add(kNear, k);
  for (const std::int32_t k : groups.hitters) add(kHitter, k);
  Moments all;
  for (std::size_t k = 0; k < keys; ++k) all.add(weights_[k], logits, k);

  Residual residual;
  for (std::size_t g = 0; g < kGroups; ++g) {
    if (aims[g] <= 0) continue;
    residual.miss = std::max(residual.miss, std::abs(of[g].mass / all.mass - aims[g]));
    residual.log_odds[g] = log_odds(of[g].mass, all.mass) - log_odds(aims[g], 1);
    const double own = std::max(of[g].mass, std::numeric_limits<double>::min());
    const double others =
        std::max(all.mass - of[g].mass, std::numeric_limits<double>::epsilon() * all.mass);
    for (std::size_t j = 0; j < kGroups; ++j) {
      residual.slope[g][j] = of[g].slopes[j] / own - (all.slopes[j] - of[g].slopes[j]) / others;
    }
  }
  return residual;
}

CalibratedQuery MassCalibration::calibrate(const QueryLogits& logits,
                                           const KeyGroups& groups,
                                           const PerGroup& shares) {
  const auto keys = static_cast<std::int64_t>(logits.content.size());
  // What has no aim, or no key, or every key, keeps the strength 0.
  const auto aim_of = [&](double share, std::int64_t size) {
    return size == 0 || size == keys ? 0 : share;
  };
  const Three aims = {aim_of(shares.sink, groups.sinks),
                      aim_of(shares.near, groups.near_end - groups.near_begin),
                      aim_of(shares.hitter, static_cast<std::int64_t>(groups.hitters.size()))};
  Three start = {};
  if (logits.content.size() > kManyKeys) {
    const ThinnedKeys few(logits, groups);
    const PerGroup near_by = search(few.logits(), few.groups(), aims, start).strengths;
    start = {near_by.sink, near_by.near, near_by.hitter};
  }
  return search(logits, groups, aims, start);
}

CalibratedQuery MassCalibration::search(const QueryLogits& logits,
                                        const KeyGroups& groups,
                                        const Three& aims,
                                        const Three& start) {
  Three strengths = start;
  double near_lo = 0;  // the near keys hold too little with this strength, or it is 0
  double near_hi = std::numeric_limits<double>::infinity();  // and too much with this
  CalibratedQuery best;
  bool best_is_settled = false;
  for (int step = 0; step < kMostSteps; ++step) {
    const Residual at = residual_at(strengths, logits, groups, aims);
    // A group moves unless it has no aim, or holds too much without being drawn.
    const auto moves = [&](std::size_t g) {
      return aims[g] > 0 && (strengths[g] > 0 || at.log_odds[g] < 0);
    };
    const auto distance = [&](std::size_t g) { return moves(g) ? std::abs(at.log_odds[g]) : 0; };
    const double unsettled = std::max(distance(kSink), distance(kHitter));
    // Rationale: the shares of sinks and hitters rise evenly with their strengths, at any strength
    // of the near keys. That is searched, between bounds, among strengths at which those two have
    // their shares: distant ripples of the near keys' logits, and near keys with much content, lead
    // Newton's method astray where nothing bounds it.
    const bool is_settled = unsettled < kSettled;
    if (step == 0 || is_settled > best_is_settled ||
        (is_settled == best_is_settled && at.miss < best.miss)) {
      best = {{strengths[kSink], strengths[kNear], strengths[kHitter]}, at.miss};
      best_is_settled = is_settled;
    }
    if (at.miss <= kAccepted) break;
    const bool near_moves = is_settled && moves(kNear);
    if (near_moves) (at.log_odds[kNear] < 0 ? near_lo : near_hi) = strengths[kNear];
    if (near_moves ? near_hi - near_lo < kNarrow || near_lo >= most_near_ : unsettled < kExact) {
      break;
    }
    Eigen::Matrix3d slope = Eigen::Matrix3d::Identity();
    Eigen::Vector3d residual = Eigen::Vector3d::Zero();
    for (std::size_t g = 0; g < kGroups; ++g) {
      if (g == kNear ? !near_moves : !moves(g)) continue;
      const auto row = static_cast<Eigen::Index>(g);
      residual[row] = at.log_odds[g];
      for (std::size_t j = 0; j < kGroups; ++j) {
        slope(row, static_cast<Eigen::Index>(j)) = at.slope[g][j];
      }
    }
    const Eigen::Vector3d newton = slope.fullPivLu().solve(-residual);
    const auto change = [&](std::size_t g) {
      return std::clamp(newton[static_cast<Eigen::Index>(g)], -kLongestStep, kLongestStep);
    };
    for (const std::size_t g : {kSink, kHitter}) {
      strengths[g] = std::max(strengths[g] + change(g), 0.0);
    }
    if (!near_moves) continue;
    const double next = strengths[kNear] + change(kNear);
    if (!std::isfinite(near_hi)) {
      const double reach = std::min(near_lo + kLongestNearStep, most_near_);
      strengths[kNear] = next > near_lo ? std::min(next, reach) : reach;
    } else {
      strengths[kNear] = next > near_lo && next < near_hi ? next : (near_lo + near_hi) / 2;
    }
  }
  return best;
}

}  // namespace maskerade
