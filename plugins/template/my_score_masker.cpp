// A masker that scores keys; the host leaves out what is active, breaks ties and takes the budget.
// Change what score_keys() writes, and the parameters of its own: budget_table() adds budget,
// counts, share and reduce.
#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

class MyScoreMasker final : public sdk::ScoreMasker {
 public:
  static sdk::Description describe() {
    return {.id = "my_score_masker",
            .summary = "a template: the best keys by the logit and a bonus for recent ones",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = sdk::budget_table(
                {sdk::number("bonus", "what the last key's logit gains beside the first's")
                     .with_default("1")
                     .at_least(0)
                     .at_most(1e6)})};
  }

  explicit MyScoreMasker(const sdk::Arguments& arguments)
      : ScoreMasker(arguments), bonus_(static_cast<float>(arguments.number("bonus"))) {}

  // scores[j] is that of key j, for the keys that the row sees.
  void score_keys(const sdk::Row& row, std::span<float> scores) const override {
    row.products(0, row.visible_len(), scores);
    const float step = bonus_ / static_cast<float>(scores.size());
    for (std::size_t key = 0; key < scores.size(); ++key) {
      scores[key] = row.call().scale * scores[key] + step * static_cast<float>(key);
    }
  }

 private:
  float bonus_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(MyScoreMasker)
