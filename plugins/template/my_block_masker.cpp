// A masker that decides by blocks, for all queries of one together. Change what select_block_row()
// adds. Where blocks are ranked by a score, derive from BlockScoreMasker of
// framework/sdk/block_scores.hpp.
#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

class MyBlockMasker final : public sdk::BlockMasker {
 public:
  static sdk::Description describe() {
    return {.id = "my_block_masker",
            .summary = "a template: the first blocks, and those up to the query's own",
            .depends_on = sdk::kShape,
            .parameters = {
                sdk::blocks("near", "blocks up to the query's own").with_default("2").at_least(1),
                sdk::blocks("first", "blocks from the start").with_default("1"),
                sdk::count("block", "tokens of a block of queries and of keys")
                    .with_default("64")
                    .at_least(1)
                    .at_most(1 << 20)}};
  }

  explicit MyBlockMasker(const sdk::Arguments& arguments)
      : BlockMasker(arguments.count("block")),
        near_(arguments.blocks("near")),
        first_(arguments.blocks("first")) {}

  // The row is that of the queries whose position lies in block row.number().
  void select_block_row(const sdk::BlockRow& row) const override {
    for (std::int64_t block = 0; block <= row.number(); ++block) {
      if (block < first_ || block > row.number() - near_) row.add_block(block);
    }
  }

 private:
  std::int64_t near_;
  std::int64_t first_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(MyBlockMasker)
