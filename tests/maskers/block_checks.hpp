// What maskers that rank blocks are held against: the obvious choice of blocks by their scores.
#pragma once

#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "tests/maskers/deterministic_checks.hpp"

namespace maskerade {

// Queries of the problem whose positions lie in one block with that of `query`.
inline std::vector<std::int64_t> block_row_of(const MaskerProblem& problem,
                                              std::int64_t query,
                                              std::int64_t block) {
  const Visibility& visibility = problem.inputs().visibility;
  const auto block_of = [&](std::int64_t i) {
    return maskerade_block_of(visibility.position(i), block);
  };
  std::vector<std::int64_t> queries;
  for (std::int64_t i = 0; i < visibility.query_len(); ++i) {
    if (block_of(i) == block_of(query)) queries.push_back(i);
  }
  return queries;
}

struct BlockCase {
  std::int64_t block = 64;
  std::string budget = "64";
  std::string counts = "extra";
  std::string share = "query_head";
  std::string reduce = "sum";
  std::int64_t sink = 0;

  NamedArguments given() const {
    return {{"budget", budget},
            {"block", std::to_string(block)},
            {"counts", counts},
            {"share", share},
            {"reduce", reduce}};
  }
};

// The scores of all key blocks that a block row of queries sees.
using BlockScores = std::function<std::vector<double>(
    std::int64_t batch, std::int64_t head, const std::vector<std::int64_t>& queries)>;

// The masker selects, after a sink, the best blocks of each block row by the scores.
inline void expect_best_blocks(const BlockCase& how,
                               std::vector<MaskerUse> maskers,
                               const MaskerProblem& problem,
                               std::int64_t budget_keys,
                               const BlockScores& scores_of) {
  maskers.insert(maskers.begin(), use("sink", {{"", std::to_string(how.sink)}}));
  const Visibility& visibility = problem.inputs().visibility;
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, std::set<std::int64_t>> known;
  const auto choose = [&](std::int64_t b, std::int64_t h,
                          const std::vector<std::int64_t>& queries) {
    const auto [first, end] = sharing_heads(problem.shape(), how.share, h);
    std::vector<double> scores = scores_of(b, first, queries);
    for (std::int64_t head = first + 1; head < end; ++head) {
      const std::vector<double> more = scores_of(b, head, queries);
      for (std::size_t j = 0; j < scores.size(); ++j) {
        scores[j] = how.reduce == "sum" ? scores[j] + more[j] : std::max(scores[j], more[j]);
      }
    }
    std::int64_t visible = 0;
    for (const std::int64_t i : queries) visible = std::max(visible, visibility.end(i));
    std::vector<std::int64_t> open;
    for (std::int64_t j = 0; j * how.block < visible; ++j) {
      if (std::min((j + 1) * how.block, visible) > how.sink) open.push_back(j);
    }
    std::stable_sort(open.begin(), open.end(), [&](auto a, auto c) {
      return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(c)];
    });
    const auto keys_of_row = [&](std::int64_t i) {
      const std::int64_t active = std::min(how.sink, visibility.end(i));
      return budget_keys - (how.counts == "total" ? active : 0);
    };
    const bool reaches_all = std::all_of(queries.begin(), queries.end(), [&](std::int64_t i) {
      return keys_of_row(i) >= visibility.end(i) - std::min(how.sink, visibility.end(i));
    });
    const std::int64_t keys = keys_of_row(queries.back());
    const std::int64_t blocks = keys <= 0 ? 0 : std::max<std::int64_t>(keys / how.block, 1);
    if (!reaches_all) open.resize(std::min(open.size(), static_cast<std::size_t>(blocks)));
    return std::set<std::int64_t>(open.begin(), open.end());
  };
  expect_keys(run(maskers, problem).mask, problem, [&](auto b, auto h, auto i) {
    const std::vector<std::int64_t> queries = block_row_of(problem, i, how.block);
    const auto place = std::tuple(b, h, queries.front());
    if (!known.contains(place)) known[place] = choose(b, h, queries);
    std::vector<std::int64_t> keys;
    for (std::int64_t key = 0; key < visibility.end(i); ++key) {
      if (key < how.sink || known[place].contains(key / how.block)) keys.push_back(key);
    }
    return keys;
  });
}

}  // namespace maskerade
