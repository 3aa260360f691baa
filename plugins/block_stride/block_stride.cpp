#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The strided pattern of the Sparse Transformer, over blocks.
class BlockStride final : public sdk::BlockMasker {
 public:
  static sdk::Description describe() {
    return {.id = "block_stride",
            .summary = "the query's own block and every stride-th block before it",
            .reference = "arXiv:1904.10509",
            .depends_on = sdk::kShape,
            .parameters = {
                sdk::count("stride", "blocks from one to the next").with_default("4").at_least(1),
                sdk::count("block", "tokens of a block of queries and of keys")
                    .with_default("64")
                    .at_least(1)
                    .at_most(1 << 20)}};
  }

  explicit BlockStride(const sdk::Arguments& arguments)
      : BlockMasker(arguments.count("block")), stride_(arguments.count("stride")) {}

  void select_block_row(const sdk::BlockRow& row) const override {
    for (std::int64_t block = row.number(); block >= 0; block -= stride_) row.add_block(block);
  }

 private:
  std::int64_t stride_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(BlockStride)
