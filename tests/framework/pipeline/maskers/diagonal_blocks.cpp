#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

constexpr std::int64_t kBlock = 48;  // no divisor or multiple of the mask's tiles

// The block on the diagonal, and a check that calls hold whole blocks and whole kv groups.
class DiagonalBlocks final : public sdk::BlockMasker {
 public:
  static sdk::Description describe() {
    return {.id = "diagonal_blocks",
            .summary = "the block on the diagonal",
            .depends_on = sdk::kShape | sdk::kHead};
  }
  explicit DiagonalBlocks(const sdk::Arguments&) : BlockMasker(kBlock, MASKERADE_HEADS_GROUP) {}

  void select_block_row(const sdk::BlockRow& row) const override {
    const maskerade_call& call = row.call();
    const auto block_of = [&](std::int64_t query) {
      return maskerade_block_of(call.positions[query], kBlock);
    };
    const bool cut_before =
        row.query_begin() > 0 && block_of(row.query_begin() - 1) == row.number();
    const bool cut_after =
        row.query_end() < call.shape.query_len && block_of(row.query_end()) == row.number();
    if (cut_before || cut_after) throw std::runtime_error("a block was cut");
    if (call.head_end - call.head_begin != call.shape.query_heads / call.shape.kv_heads) {
      throw std::runtime_error("a kv group was cut");
    }
    row.add_block(row.number());
  }
};

}  // namespace

MASKERADE_EXPORT_MASKER(DiagonalBlocks)
