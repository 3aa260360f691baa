// A base for maskers that rank blocks of keys for rows of blocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "framework/sdk/masker.hpp"

namespace maskerade::sdk {

// Scores blocks of keys; this adds, for the rows of a block of queries, the blocks with the highest
// scores that hold a visible inactive key: as many as the budget holds whole blocks, at least one
// when it is not 0, and all of them once it reaches the visible inactive keys of each of the rows.
// Ties: the earlier block. Sharing heads pool their scores and choose together.
class BlockScoreMasker : public BlockMasker {
 public:
  // What a derived masker's table begins with, and then its own parameters.
  static std::vector<Parameter> parameters(std::vector<Parameter> own = {}) {
    std::vector<Parameter> table = {
        tokens("budget",
               "keys to select, in whole blocks: at least one, all once it reaches every key"),
        count("block", "tokens of a block of queries and of keys")
            .with_default("64")
            .at_least(1)
            .at_most(1 << 20)
            .affects_index(),
        choice("counts", {"extra", "total"},
               "whether the budget is beyond the keys active at the block's last query or "
               "includes them")
            .with_default("extra")};
    for (Parameter& parameter : own) table.push_back(std::move(parameter));
    for (Parameter& parameter : Sharing::parameters()) table.push_back(std::move(parameter));
    return table;
  }

  explicit BlockScoreMasker(const Arguments& arguments)
      : BlockScoreMasker(arguments, Sharing::from(arguments).heads) {}
  // heads: MASKERADE_HEADS_*, the heads that a call must hold; at least those that share.
  BlockScoreMasker(const Arguments& arguments, std::uint32_t heads)
      : BlockMasker(arguments.count("block"), heads),
        block_(arguments.count("block")),
        budget_(arguments),
        sharing_(Sharing::from(arguments)) {}

  std::int64_t block() const { return block_; }
  const Tokens& budget() const { return budget_.keys(); }
  bool is_total() const { return budget_.is_total(); }
  const Sharing& sharing() const { return sharing_; }
  // Writes scores[j] of key blocks j in [0, row.visible_blocks()) for the queries of one head.
  virtual void score_blocks(const BlockRow&, std::int64_t, std::span<float>) const {
    throw std::logic_error("a BlockScoreMasker overrides score_blocks or score_heads");
  }
  // The same for all heads of the row, one after another: scores[head - row.head_begin()][blocks].
  virtual void score_heads(const BlockRow& row, std::span<float> scores) const {
    const auto blocks = static_cast<std::size_t>(row.visible_blocks());
    for (std::int64_t head = row.head_begin(); head < row.head_end(); ++head) {
      score_blocks(
          row, head,
          scores.subspan(static_cast<std::size_t>(head - row.head_begin()) * blocks, blocks));
    }
  }

  void select_block_row(const BlockRow& row) const final {
    const auto blocks = static_cast<std::size_t>(row.visible_blocks());
    const auto at = [&](std::int64_t head) {
      return static_cast<std::size_t>(head - row.head_begin()) * blocks;
    };
    std::vector<float> scores(at(row.head_end()));
    score_heads(row, scores);
    sharing_.for_each_set(
        row.head_begin(), row.head_end(), [&](std::int64_t begin, std::int64_t end) {
          const std::span<float> pooled = std::span(scores).subspan(at(begin), blocks);
          for (std::int64_t head = begin + 1; head < end; ++head) {
            sharing_.pool<float>(std::span(scores).subspan(at(head), blocks), pooled);
          }
          add_best(row.of_heads(begin, end), pooled);
        });
  }

 private:
  void add_best(const BlockRow& row, std::span<const float> pooled) const {
    const maskerade_call& call = row.call();
    const std::vector<std::int32_t> open = open_blocks(row);
    std::vector<float> candidates;
    for (const std::int32_t block : open) {
      candidates.push_back(pooled[static_cast<std::size_t>(block)]);
    }
    std::vector<std::int32_t> chosen(candidates.size());
    chosen.resize(call.services->top_indices(
        &call, candidates.data(), candidates.size(),
        static_cast<std::size_t>(blocks_of(row, static_cast<std::int64_t>(open.size()))),
        chosen.data()));
    for (const std::int32_t index : chosen) row.add_block(open[static_cast<std::size_t>(index)]);
  }
  // How many of the `open` blocks the row takes.
  std::int64_t blocks_of(const BlockRow& row, std::int64_t open) const {
    const Row last = row.row(row.head_begin(), row.query_end() - 1);
    return blocks_of_budget(budget_.of(last), reaches_all(row), block_, open);
  }
  // Whether the budget of each row is enough for all of its visible inactive keys.
  bool reaches_all(const BlockRow& row) const {
    for (std::int64_t head = row.head_begin(); head < row.head_end(); ++head) {
      // The last query sees the most keys.
      for (std::int64_t query = row.query_end(); query-- > row.query_begin();) {
        if (!budget_.reaches_all(row.row(head, query))) return false;
      }
    }
    return true;
  }
  // The blocks in which some row of the block row sees an inactive key.
  std::vector<std::int32_t> open_blocks(const BlockRow& row) const {
    std::vector<std::int32_t> open;
    std::vector<bool> is_open(static_cast<std::size_t>(row.visible_blocks()));
    for (std::int64_t head = row.head_begin(); head < row.head_end(); ++head) {
      for (std::int64_t query = row.query_begin(); query < row.query_end(); ++query) {
        for_each_inactive(row.row(head, query), [&](std::int64_t key) {
          const std::int64_t block = key / block_;
          is_open[static_cast<std::size_t>(block)] = true;
          return (block + 1) * block_;
        });
      }
    }
    for (std::size_t block = 0; block < is_open.size(); ++block) {
      if (is_open[block]) open.push_back(static_cast<std::int32_t>(block));
    }
    return open;
  }

  std::int64_t block_;
  Budget budget_;
  Sharing sharing_;
};

}  // namespace maskerade::sdk
