// What is asked of every masker with an index.
#pragma once

#include <memory>

#include "experiments/rules/index_rules.hpp"
#include "tests/maskers/masker_problem.hpp"

namespace maskerade {

inline constexpr std::uint64_t kIndexSeed = 7;

// The masker's index over the first `built` keys of the problem, driven by hand.
inline rules::MaskerIndex index_over(const MaskerUse& masker,
                                     const MaskerProblem& problem,
                                     std::int64_t built) {
  return rules::MaskerIndex(masker, problem.inputs(), kIndexSeed, built);
}
inline rules::GrowingSelectionMaker indexes_over(const MaskerUse& masker,
                                                 const MaskerProblem& problem) {
  return [&masker, &problem](std::int64_t built) {
    return std::make_unique<rules::MaskerIndex>(masker, problem.inputs(), kIndexSeed, built);
  };
}

// Appending in any split gives what appending at once gives; cutting takes it back, and is what was
// never there. built: keys of the build, on which what is frozen depends. The index grows from
// there to all keys.
inline void expect_index_appends(const MaskerUse& masker,
                                 const MaskerProblem& problem,
                                 std::int64_t built) {
  const std::int64_t key_len = problem.shape().key_len;
  const rules::GrowingSelectionMaker make = indexes_over(masker, problem);
  EXPECT_TRUE(rules::holds(rules::check_append_splits(make, built, key_len)));
  EXPECT_TRUE(rules::holds(rules::check_truncate_undoes_append(make, built, key_len, 1, 2)));
  EXPECT_GT(make(key_len)->index_bytes(), make(built)->index_bytes());
}

// Where nothing is frozen: building on few keys, or on none, and appending is building on
// everything, and is what a pipeline selects.
inline void expect_appending_is_building(const MaskerUse& masker, const MaskerProblem& problem) {
  const std::int64_t key_len = problem.shape().key_len;
  const std::int64_t built[] = {0, 1, 37, 50};
  EXPECT_TRUE(
      rules::holds(rules::check_append_is_build(indexes_over(masker, problem), built, key_len)));
  EXPECT_EQ(run({masker}, problem, {.seed = kIndexSeed}).mask,
            index_over(masker, problem, key_len).select());
}

}  // namespace maskerade
