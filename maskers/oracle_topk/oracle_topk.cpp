#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The keys with the largest logits, found by computing them all: the upper bound for every method
// that estimates which those are.
class OracleTopK final : public sdk::ScoreMasker {
 public:
  static sdk::Description describe() {
    sdk::Description description{
        .id = "oracle_topk",
        .summary = "the visible inactive keys with the largest q.k",
        .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
        .parameters = {sdk::tokens("budget", "keys to select"),
                       sdk::choice("counts", {"extra", "total"},
                                   "whether the budget is beyond the active keys or includes them")
                           .with_default("extra")}};
    for (sdk::Parameter& parameter : sdk::Sharing::parameters()) {
      description.parameters.push_back(std::move(parameter));
    }
    return description;
  }

  explicit OracleTopK(const sdk::Arguments& arguments)
      : ScoreMasker(sdk::Sharing::from(arguments)),
        budget_(arguments.tokens("budget")),
        total_(arguments.choice("counts") == "total") {}

  std::int64_t budget(const sdk::Row& row) const override {
    return row.resolve(budget_) - (total_ ? row.active_count() : 0);
  }
  void score_keys(const sdk::Row& row, std::span<float> scores) const override {
    row.products(0, static_cast<std::int64_t>(scores.size()), scores);
  }

  // Heads that select alone still come as a kv group: the host then reads each key once for all.
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

 private:
  sdk::Tokens budget_;
  bool total_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(OracleTopK)
