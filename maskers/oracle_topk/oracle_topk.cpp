#include "framework/sdk/masker.hpp"
#include "maskers/oracle_topk/oracle_topk_device.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The keys with the largest logits, found by computing them all: the upper bound for every method
// that estimates which those are.
class OracleTopK final : public sdk::ScoreMasker {
 public:
  static sdk::Description describe() {
    return {.id = "oracle_topk",
            .summary = "the visible inactive keys with the largest q.k",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = sdk::budget_table()};
  }
  explicit OracleTopK(const sdk::Arguments& arguments) : ScoreMasker(arguments) {}

  void score_rows(const sdk::RowRange& rows, float* scores, std::int64_t stride) const override {
    sdk::require_ok(rows.call.services->score_range(&rows.call, rows.begin, rows.end, 0,
                                                    rows.visible_end(), scores, stride));
  }

  // Heads that select alone still share a call with their kv group, so that the host reads each key
  // once for all of them.
  maskerade_grain grain() const override {
    return {1, std::max<std::uint32_t>(sharing().heads, MASKERADE_HEADS_GROUP)};
  }
  void select(const maskerade_call& call) const override {
    if (sharing().heads != MASKERADE_HEADS_ONE) return ScoreMasker::select(call);
    std::vector<std::int64_t> counts;
    for (std::int64_t row = 0; row < sdk::row_count(call); ++row) {
      counts.push_back(budget(sdk::Row(call, row)));
    }
    sdk::require_ok(call.services->add_top_products(&call, 0, sdk::row_count(call), counts.data()));
  }

#ifdef MASKERADE_WITH_CUDA
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call& call) const {
    const std::int64_t keys = budget().keys().of(call.shape.key_len, call.shape.key_len);
    return sdk::bounds_of_pieces(call, keys, 1, 1);
  }
  void select_on_device(const maskerade_cuda_call& call) const {
    maskerade::oracle_topk::select_on_device(call, {budget().keys().value(), budget().is_total(),
                                                    sharing().together(call.shape), sharing().sum});
  }
#endif
};

}  // namespace

MASKERADE_EXPORT_MASKER(OracleTopK)
