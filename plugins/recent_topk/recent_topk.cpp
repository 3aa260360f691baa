#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The best keys by the logit less a penalty for distance, as ALiBi's bias gives it.
class RecentTopK final : public sdk::ScoreMasker {
 public:
  static sdk::Description describe() {
    return {.id = "recent_topk",
            .summary = "the best keys by q.k less a penalty per token of distance",
            .reference = "arXiv:2108.12409",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters =
                sdk::budget_table({sdk::number("slope", "what a logit loses per token of distance")
                                       .with_default("0.01")
                                       .at_least(0)})};
  }

  explicit RecentTopK(const sdk::Arguments& arguments)
      : ScoreMasker(arguments), slope_(static_cast<float>(arguments.number("slope"))) {}

  void score_keys(const sdk::Row& row, std::span<float> scores) const override {
    row.products(0, row.visible_len(), scores);
    for (std::size_t key = 0; key < scores.size(); ++key) {
      const auto distance = static_cast<float>(row.position() - static_cast<std::int64_t>(key));
      scores[key] = row.call().scale * scores[key] - slope_ * distance;
    }
  }

 private:
  float slope_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(RecentTopK)
