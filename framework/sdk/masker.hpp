// A masker in C++: derive from one base class, override one function, export it.
//
//   class Sink final : public maskerade::sdk::RowMasker {
//    public:
//     static maskerade::sdk::Description describe();
//     explicit Sink(const maskerade::sdk::Arguments& arguments);
//     void select_row(const maskerade::sdk::Row& row) const override;
//   };
//   MASKERADE_EXPORT_MASKER(Sink)
//
// RowMasker    one row at a time: query, visible keys, what is active; adds ranges or keys.
// ScoreMasker  scores keys; the host excludes what is active, breaks ties and takes the budget.
// CandidateMasker  scores candidates of its own kind, as pages; adds a row's best.
// BlockMasker  one row of blocks at a time, for a head or a kv group; adds blocks. Where they are
//              ranked by a score, BlockScoreMasker of block_scores.hpp.
// Masker       everything at once.
//
// Functions may throw: the text reaches the user with the library's name. Maskers are shared
// between threads, hence const.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "framework/sdk/arguments.hpp"
#include "framework/sdk/description.hpp"
#include "framework/sdk/export.hpp"
#include "framework/sdk/host.hpp"
#include "framework/sdk/key_span.hpp"
#include "framework/sdk/masker_abi.h"
#include "framework/sdk/pieces.hpp"
#include "framework/sdk/row.hpp"

namespace maskerade::sdk {

// The base of all: gets whole calls. For what the other bases do not fit.
class Masker {
 public:
  Masker() = default;
  Masker(const Masker&) = delete;
  Masker& operator=(const Masker&) = delete;
  virtual ~Masker() = default;

  virtual void select(const maskerade_call& call) const = 0;
  // The rows and heads that one call must hold together; unless overridden, each row of each head
  // stands by itself.
  virtual maskerade_grain grain() const { return {1, MASKERADE_HEADS_ONE}; }
};

// For maskers that decide row by row.
class RowMasker : public Masker {
 public:
  virtual void select_row(const Row& row) const = 0;

  void select(const maskerade_call& call) const final {
    for (std::int64_t row = 0; row < row_count(call); ++row) select_row(Row(call, row));
  }
};

// Which heads decide together, and how their scores are pooled.
struct Sharing {
  std::uint32_t heads = MASKERADE_HEADS_ONE;
  bool sum = true;  // else the maximum

  // The two parameters that every content-based masker takes.
  static std::vector<Parameter> parameters() {
    std::vector<Parameter> table;
    table.push_back(choice("share", {"query_head", "kv_head", "all"},
                           "which heads select together, by pooled scores")
                        .with_default("query_head"));
    table.push_back(choice("reduce", {"sum", "max"}, "how the scores of sharing heads are pooled")
                        .with_default("sum"));
    return table;
  }
  static Sharing from(const Arguments& arguments) {
    const std::string share = arguments.choice("share");
    return {share == "all"       ? std::uint32_t{MASKERADE_HEADS_ALL}
            : share == "kv_head" ? std::uint32_t{MASKERADE_HEADS_GROUP}
                                 : std::uint32_t{MASKERADE_HEADS_ONE},
            arguments.choice("reduce") == "sum"};
  }
  // Which heads a call must hold where scores are computed key by key: at one query a head, as at
  // decode, a kv group at least, so that its keys are read once. Else the heads that share, so that
  // there are more units of work.
  std::uint32_t heads_of_call(const maskerade_shape& shape) const {
    return shape.query_len == 1 ? std::max<std::uint32_t>(heads, MASKERADE_HEADS_GROUP) : heads;
  }
  // How many heads of a problem decide together.
  std::int64_t together(const maskerade_shape& shape) const {
    if (heads == MASKERADE_HEADS_ALL) return shape.query_heads;
    return heads == MASKERADE_HEADS_GROUP ? shape.query_heads / shape.kv_heads : 1;
  }
  // Calls visit(begin, end) for the heads of a call that decide together, one set after another.
  template <typename Visit>
  void for_each_set(std::int64_t head_begin, std::int64_t head_end, Visit&& visit) const {
    const std::int64_t together = heads == MASKERADE_HEADS_ONE ? 1 : head_end - head_begin;
    for (std::int64_t head = head_begin; head < head_end; head += together) {
      visit(head, head + together);
    }
  }
  // Pools the scores of one more head.
  template <typename Score>
  void pool(std::span<const Score> scores, std::span<Score> pooled) const {
    for (std::size_t j = 0; j < pooled.size(); ++j) {
      pooled[j] = sum ? pooled[j] + scores[j] : std::max(pooled[j], scores[j]);
    }
  }
};

// The rows [begin, end) of a call: queries of one head that follow each other.
struct RowRange {
  const maskerade_call& call;
  std::int64_t begin;
  std::int64_t end;

  std::int64_t size() const { return end - begin; }
  Row operator[](std::int64_t i) const { return Row(call, begin + i); }
  // The queries, widened to float32. [size()][head_dim]
  std::vector<float> queries() const {
    std::vector<float> queries;
    for (std::int64_t row = begin; row < end; ++row) {
      const std::span<const float> query = Row(call, row).query_vector();
      queries.insert(queries.end(), query.begin(), query.end());
    }
    return queries;
  }
  std::int64_t visible_end() const {
    std::int64_t end_of_all = 0;
    for (std::int64_t row = begin; row < end; ++row) {
      end_of_all = std::max(end_of_all, Row(call, row).visible_len());
    }
    return end_of_all;
  }
  std::int64_t visible_sum() const {
    std::int64_t sum = 0;
    for (std::int64_t row = begin; row < end; ++row) sum += Row(call, row).visible_len();
    return sum;
  }
};

// Scores candidates of its own kind, keys or pages of them; the scores of the heads that share are
// pooled, and every row takes its own by the pooled scores.
class CandidateMasker : public Masker {
 public:
  explicit CandidateMasker(Sharing sharing = {}) : sharing_(sharing) {}

  // Candidates 0 ... candidates(n) - 1 are those of a row with n visible keys.
  virtual std::int64_t candidates(std::int64_t visible_len) const = 0;
  // Writes scores[i * stride + c] of the candidates c of row i, i < rows.size().
  virtual void score_rows(const RowRange& rows, float* scores, std::int64_t stride) const = 0;
  // Adds what a row takes; one score per candidate.
  virtual void add_best(const Row& row, std::span<const float> scores) const = 0;

  maskerade_grain grain() const override { return {1, sharing_.heads}; }
  const Sharing& sharing() const { return sharing_; }

  void select(const maskerade_call& call) const override {
    constexpr std::int64_t kMostTogether = 64;
    constexpr std::int64_t kMostScores = 1'000'000;
    const std::int64_t heads = call.head_end - call.head_begin;
    const std::int64_t queries = call.query_end - call.query_begin;
    const std::int64_t stride = std::max<std::int64_t>(candidates(call.shape.key_len), 1);
    const std::int64_t together = std::clamp<std::int64_t>(kMostScores / stride, 1, kMostTogether);
    std::vector<float> pooled(static_cast<std::size_t>(std::min(together, queries) * stride));
    std::vector<float> scores(heads > 1 ? pooled.size() : 0);
    // Calls begin at multiples of kMostTogether. Rows are taken together between these, so that
    // what is read does not depend on where calls end.
    for (std::int64_t first = 0, last = 0; first < queries; first = last) {
      last = std::min({first + together, (first / kMostTogether + 1) * kMostTogether, queries});
      const auto size_of = [&](std::int64_t query) {
        return static_cast<std::size_t>(candidates(Row(call, query).visible_len()));
      };
      for (std::int64_t head = 0; head < heads; ++head) {
        score_rows({call, head * queries + first, head * queries + last},
                   head == 0 ? pooled.data() : scores.data(), stride);
        for (std::int64_t query = first; query < last && head > 0; ++query) {
          const auto at = static_cast<std::size_t>((query - first) * stride);
          sharing_.pool<float>({&scores[at], size_of(query)}, {&pooled[at], size_of(query)});
        }
      }
      for (std::int64_t row = first; row < heads * queries; row += queries) {
        for (std::int64_t i = 0; i < last - first; ++i) {
          add_best(Row(call, row + i),
                   {&pooled[static_cast<std::size_t>(i * stride)], size_of(first + i)});
        }
      }
    }
  }

 private:
  Sharing sharing_;
};

// How many keys a row takes: `budget`, beyond those active or (`counts: total`) with them. A budget
// of every key is dense, whatever the masker: one that takes keys in pieces asks reaches_all().
class Budget {
 public:
  explicit Budget(const Arguments& arguments)
      : tokens_(arguments.tokens("budget")), total_(arguments.choice("counts") == "total") {}

  // doc: what a unit of the budget buys, for `maskerade list`.
  static std::vector<Parameter> parameters(const char* doc = "keys to select") {
    std::vector<Parameter> table;
    table.push_back(tokens("budget", doc));
    table.push_back(choice("counts", {"extra", "total"},
                           "whether the budget is beyond the active keys or includes them")
                        .with_default("extra"));
    return table;
  }
  std::int64_t of(const Row& row) const {
    return row.resolve(tokens_) - (total_ ? row.active_count() : 0);
  }
  // Whether it is enough for all of the row's visible inactive keys.
  bool reaches_all(const Row& row) const {
    const std::int64_t keys = row.resolve(tokens_);
    const std::int64_t visible = row.visible_len();
    // What is active need not be counted where the row sees no more keys than the budget has.
    return keys >= visible ||
           (!total_ && reaches_every_key(keys, total_, row.active_count(), visible));
  }
  // What a device path needs: the keys as written, and whether active ones count.
  const Tokens& keys() const { return tokens_; }
  bool is_total() const { return total_; }

 private:
  Tokens tokens_;
  bool total_;
};

// The bounds of a masker that gives each row up to `pieces` pieces (keys, pages or blocks) of
// `piece_len` keys, where one piece touches up to `tiles` tiles of 64 keys. For a budget of keys
// the pieces are most_pieces_of_budget().
inline maskerade_cuda_bounds bounds_of_pieces(const maskerade_cuda_call& call,
                                              std::int64_t pieces,
                                              std::int64_t piece_len,
                                              std::int64_t tiles) {
  const std::int64_t most = call.shape.key_len;
  const std::int64_t rows = std::min<std::int64_t>(call.shape.query_len, 64);
  const bool is_all = pieces >= most;
  return {.tiles_per_tile_row = is_all ? most : rows * pieces * tiles,
          .keys_per_row = is_all ? most : pieces * piece_len};
}

// The table of a masker that has a budget and shares: budget, counts, its own, share, reduce.
inline std::vector<Parameter> budget_table(std::vector<Parameter> own = {},
                                           const char* budget_doc = "keys to select") {
  std::vector<Parameter> table = Budget::parameters(budget_doc);
  for (Parameter& parameter : own) table.push_back(std::move(parameter));
  for (Parameter& parameter : Sharing::parameters()) table.push_back(std::move(parameter));
  return table;
}

// Scores keys; the host excludes what is active, breaks ties and takes the budget. Its table is
// budget_table().
class ScoreMasker : public CandidateMasker {
 public:
  explicit ScoreMasker(const Arguments& arguments)
      : CandidateMasker(Sharing::from(arguments)), budget_(arguments) {}

  // Writes scores[j] for keys j of [0, scores.size()), the row's visible keys.
  virtual void score_keys(const Row&, std::span<float>) const {
    throw std::logic_error("a ScoreMasker overrides score_keys or score_rows");
  }
  // The same for many rows at once.
  void score_rows(const RowRange& rows, float* scores, std::int64_t stride) const override {
    for (std::int64_t i = 0; i < rows.size(); ++i) {
      const Row row = rows[i];
      score_keys(row, {scores + i * stride, static_cast<std::size_t>(row.visible_len())});
    }
  }
  std::int64_t budget(const Row& row) const { return budget_.of(row); }
  const Budget& budget() const { return budget_; }

  std::int64_t candidates(std::int64_t visible_len) const final { return visible_len; }
  void add_best(const Row& row, std::span<const float> scores) const override {
    row.add_top(scores, budget(row));
  }

 private:
  Budget budget_;
};

// One row of blocks: the queries of a call whose position / block is number(), for some heads of
// the call (all of them at first).
class BlockRow {
 public:
  BlockRow(const maskerade_call& call,
           std::int64_t block,
           std::int64_t query_begin,
           std::int64_t query_end)
      : call_(&call),
        block_(block),
        query_begin_(query_begin),
        query_end_(query_end),
        head_begin_(call.head_begin),
        head_end_(call.head_end) {}

  const maskerade_call& call() const { return *call_; }
  // Heads [head_begin(), head_end()), numbered as in the call: in the problem if the masker
  // declares kHead, else from 0.
  std::int64_t head_begin() const { return head_begin_; }
  std::int64_t head_end() const { return head_end_; }
  // The same queries, for heads [begin, end).
  BlockRow of_heads(std::int64_t begin, std::int64_t end) const {
    BlockRow row = *this;
    row.head_begin_ = begin;
    row.head_end_ = end;
    return row;
  }
  std::int64_t number() const { return maskerade_block_of(call_->positions[query_begin_], block_); }
  std::int64_t query_begin() const { return query_begin_; }  // in the problem
  std::int64_t query_end() const { return query_end_; }
  std::int64_t key_blocks() const { return (call_->shape.key_len + block_ - 1) / block_; }
  std::int64_t visible_blocks() const {
    const std::int64_t end =
        *std::max_element(call_->visible_ends + query_begin_, call_->visible_ends + query_end_);
    return (end + block_ - 1) / block_;
  }

  // head and query: as head_begin() and query_begin() number them.
  Row row(std::int64_t head, std::int64_t query) const {
    const std::int64_t queries = call_->query_end - call_->query_begin;
    return {*call_, (head - call_->head_begin) * queries + query - call_->query_begin};
  }

  void add_block(std::int64_t key_block) const {
    add_range(key_block * block_, (key_block + 1) * block_);
  }
  // Adds the block to the rows of one head.
  void add_block(std::int64_t head, std::int64_t key_block) const {
    add_range(head, key_block * block_, (key_block + 1) * block_);
  }
  // Adds keys [key_begin, key_end) to all rows of the block row.
  void add_range(std::int64_t key_begin, std::int64_t key_end) const {
    for (std::int64_t head = head_begin_; head < head_end_; ++head) {
      add_range(head, key_begin, key_end);
    }
  }
  void add_range(std::int64_t head, std::int64_t key_begin, std::int64_t key_end) const {
    const std::int64_t first = row(head, query_begin_).number();
    require_ok(call_->services->add_range(call_, first, first + query_end_ - query_begin_,
                                          key_begin, key_end));
  }

 private:
  const maskerade_call* call_;
  std::int64_t block_;
  std::int64_t query_begin_;
  std::int64_t query_end_;
  std::int64_t head_begin_;
  std::int64_t head_end_;
};

// The rows of blocks of a call, in the order of its queries.
inline std::vector<BlockRow> block_rows(const maskerade_call& call, std::int64_t block) {
  require_declared(call.host, MASKERADE_DEPENDS_SHAPE, "asks for rows of blocks");
  const auto block_of = [&](std::int64_t query) {
    return maskerade_block_of(call.positions[query], block);
  };
  std::vector<BlockRow> rows;
  for (std::int64_t begin = call.query_begin; begin < call.query_end;) {
    std::int64_t end = begin + 1;
    while (end < call.query_end && block_of(end) == block_of(begin)) ++end;
    rows.emplace_back(call, block, begin, end);
    begin = end;
  }
  return rows;
}

// For maskers that decide by rows of blocks.
class BlockMasker : public Masker {
 public:
  // block: tokens of a block, >= 1. heads: MASKERADE_HEADS_ONE, _GROUP or _ALL.
  explicit BlockMasker(std::int64_t block, std::uint32_t heads = MASKERADE_HEADS_ONE)
      : grain_{block, heads} {}

  virtual void select_block_row(const BlockRow& row) const = 0;

  maskerade_grain grain() const override { return grain_; }
  void select(const maskerade_call& call) const final {
    for (const BlockRow& row : block_rows(call, grain_.query_block)) select_block_row(row);
  }

 private:
  maskerade_grain grain_;
};

}  // namespace maskerade::sdk
