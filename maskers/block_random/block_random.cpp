#include <algorithm>
#include <utility>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Random blocks, on which block-sparse kernels are timed. A row of blocks takes the block of its
// own positions, and of the others that it sees those with the smallest (random number, block).
class BlockRandom final : public sdk::BlockMasker {
 public:
  static sdk::Description describe() {
    return {.id = "block_random",
            .summary = "the block of a query block and a random draw of others, to a density",
            .depends_on = sdk::kShape | sdk::kSeed,
            .parameters = {
                sdk::share("density", "share of the visible blocks, rounded down; at least one")
                    .above(0),
                sdk::count("block", "tokens of a block").with_default("64").at_least(1)}};
  }

  explicit BlockRandom(const sdk::Arguments& arguments)
      : BlockMasker(arguments.count("block")), density_(arguments.exact_share("density")) {}

  void select_block_row(const sdk::BlockRow& row) const override {
    const std::int64_t visible = row.visible_blocks();
    // Queries before the first key, which see all keys, have the first block for their own.
    const std::int64_t own = std::clamp<std::int64_t>(row.number(), 0, visible - 1);
    const std::int64_t wanted =
        std::max<std::int64_t>(1, density_ * visible / sdk::kHundredPercent);
    for (std::int64_t head = row.call().head_begin; head < row.call().head_end; ++head) {
      const sdk::Row first = row.row(head, row.query_begin());
      std::vector<std::pair<double, std::int64_t>> others;
      for (std::int64_t block = 0; block < visible && wanted > 1; ++block) {
        if (block == own) continue;
        others.emplace_back(row.call().services->uniform(&row.call(), first.number(), 0, block),
                            block);
      }
      std::nth_element(others.begin(), others.begin() + (wanted - 1), others.end());
      row.add_block(head, own);
      for (std::int64_t i = 0; i < wanted - 1; ++i) {
        row.add_block(head, others[static_cast<std::size_t>(i)].second);
      }
    }
  }

 private:
  std::int64_t density_;  // an exact share
};

}  // namespace

MASKERADE_EXPORT_MASKER(BlockRandom)
