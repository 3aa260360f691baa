#include "maskers/references/plain_scores.hpp"

namespace {

namespace sdk = maskerade::sdk;
namespace plain = maskerade::plain;

// Exact top-k: every score, sorted.
class PlainTopK final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "oracle_topk",
            .summary = "the best inactive keys of all scores, sorted",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = sdk::budget_table()};
  }
  explicit PlainTopK(const sdk::Arguments& arguments) : budget_(arguments) {
    plain::refuse_sharing(arguments);
  }

  void select_row(const sdk::Row& row) const override {
    const std::span<const float> query = row.query_vector();
    plain::Scored scored;
    sdk::for_each_inactive(row, [&](std::int64_t key) {
      float score = 0;
      const std::vector<float> components = plain::key_of(row, key);
      for (std::size_t d = 0; d < query.size(); ++d) {
        score = std::fma(query[d], components[d], score);
      }
      scored.emplace_back(score, key);
      return key + 1;
    });
    for (const std::int64_t key : plain::best(std::move(scored), budget_.of(row))) row.add_key(key);
  }

 private:
  sdk::Budget budget_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(PlainTopK)
