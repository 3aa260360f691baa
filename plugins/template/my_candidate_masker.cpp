// A masker with candidates of its own kind: here pages of keys, ranked by their best key. Change
// what score_rows() writes; candidates() says how many there are, add_best() what a row takes. With
// an index (see framework/sdk/README.md) pages are summarised once, and not for every query.
#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

class MyCandidateMasker final : public sdk::CandidateMasker {
 public:
  static sdk::Description describe() {
    return {.id = "my_candidate_masker",
            .summary = "a template: the pages of keys that hold the best keys by q.k",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = sdk::budget_table({sdk::count("page_size", "keys of a page")
                                                 .with_default("16")
                                                 .at_least(1)
                                                 .at_most(1 << 20)},
                                            "keys to select, in whole pages: at least one")};
  }

  explicit MyCandidateMasker(const sdk::Arguments& arguments)
      : CandidateMasker(sdk::Sharing::from(arguments)),
        budget_(arguments),
        page_(arguments.count("page_size")) {}

  std::int64_t candidates(std::int64_t visible_len) const override {
    return (visible_len + page_ - 1) / page_;
  }
  // scores[i * stride + p] is that of page p for row i.
  void score_rows(const sdk::RowRange& rows, float* scores, std::int64_t stride) const override {
    for (std::int64_t i = 0; i < rows.size(); ++i) {
      std::vector<float> keys(static_cast<std::size_t>(rows[i].visible_len()));
      rows[i].products(0, rows[i].visible_len(), keys);
      for (auto at = keys.begin(); at < keys.end(); at += std::min(page_, keys.end() - at)) {
        scores[i * stride + (at - keys.begin()) / page_] =
            *std::max_element(at, at + std::min(page_, keys.end() - at));
      }
    }
  }
  void add_best(const sdk::Row& row, std::span<const float> scores) const override {
    const std::int64_t keys = budget_.of(row);
    const std::int64_t pages =
        sdk::pieces_of_budget(keys, budget_.reaches_all(row), page_, keys > 0 ? 1 : 0,
                              static_cast<std::int64_t>(scores.size()));
    for (const std::int32_t page : row.top_indices(scores, pages)) {
      row.add_range(page * page_, (page + 1) * page_);
    }
  }

 private:
  sdk::Budget budget_;
  std::int64_t page_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(MyCandidateMasker)
