#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace maskerade {

// Shares of a query's softmax mass, or the strengths of what draws a query to three groups of keys.
struct PerGroup {
  double sink = 0;
  double near = 0;
  double hitter = 0;
};

// The logits of one query over the keys that it sees, as a function of three strengths: that of key
// k is content[k] + strengths.sink * sink[k] + strengths.near * near[k] + strengths.hitter *
// hitter[k]. All have one length, at least 1.
struct QueryLogits {
  std::span<const float> content;
  std::span<const float> sink;
  std::span<const float> near;
  std::span<const float> hitter;
};

// Which of the keys that a query sees are in which group. A hitter may be near; a sink is neither.
struct KeyGroups {
  std::int64_t sinks = 0;       // keys [0, sinks)
  std::int64_t near_begin = 0;  // keys [near_begin, near_end), after the sinks
  std::int64_t near_end = 0;
  std::span<const std::int32_t> hitters = {};  // sorted, after the sinks
};

// What calibrating a query reached.
struct CalibratedQuery {
  PerGroup strengths;
  double miss = 0;  // the largest distance of a group's share from its aim
};

// Finds the strengths, from 0 on, with which groups of keys hold aimed shares of a query's softmax
// mass, by Newton's method on the log-odds of the shares. A group that has no key, or whose aim is
// 0, has the strength 0 and no part in the miss; so has none a group that holds all keys. Where the
// aims cannot be reached, the best strengths that were found are the result. Keeps its memory from
// one query to the next; one thread uses it.
class MassCalibration {
 public:
  // A strength of the near keys never exceeds most_near.
  explicit MassCalibration(double most_near) : most_near_(most_near) {}

  CalibratedQuery calibrate(const QueryLogits& logits,
                            const KeyGroups& groups,
                            const PerGroup& aims);

 private:
  using Three = std::array<double, 3>;  // sink, near, hitter
  struct Residual;

  // The strengths that are found from `start` on.
  CalibratedQuery search(const QueryLogits& logits,
                         const KeyGroups& groups,
                         const Three& aims,
                         const Three& start);

  Residual residual_at(const Three& strengths,
                       const QueryLogits& logits,
                       const KeyGroups& groups,
                       const Three& aims);

  double most_near_;
  std::vector<float> logits_;
  std::vector<double> weights_;
};

}  // namespace maskerade
