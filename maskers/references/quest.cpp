#include "maskers/references/plain_scores.hpp"

namespace {

namespace sdk = maskerade::sdk;
namespace plain = maskerade::plain;

// Quest without an index: every page is bounded anew for every row.
class PlainQuest final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "quest",
            .summary = "the pages with the largest bounds, from all of their keys",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = sdk::budget_table(
                {sdk::count("page_size", "keys").at_least(1).with_default("16"),
                 sdk::count("label_bits", "16 alone").at_least(1).at_most(16).with_default("16"),
                 sdk::blocks("min_pages", "at least").with_default("3")})};
  }
  explicit PlainQuest(const sdk::Arguments& arguments)
      : budget_(arguments),
        page_(arguments.count("page_size")),
        min_pages_(arguments.blocks("min_pages")) {
    plain::refuse_sharing(arguments);
    if (arguments.count("label_bits") != 16) {
      throw std::invalid_argument("the reference does not quantise");
    }
  }

  void select_row(const sdk::Row& row) const override {
    plain::Scored pages;
    for (std::int64_t first = 0; first < row.visible_len(); first += page_) {
      pages.emplace_back(bound(row, first), first / page_);
    }
    std::int64_t count = std::max(min_pages_, budget_.of(row) / page_);
    if (budget_.reaches_all(row)) count = static_cast<std::int64_t>(pages.size());
    for (const std::int64_t page : plain::best(std::move(pages), count)) {
      row.add_range(page * page_, (page + 1) * page_);
    }
  }

 private:
  // The largest product that a key within the page's least and greatest components may have; the
  // page's keys that the query does not see are among them.
  float bound(const sdk::Row& row, std::int64_t first) const {
    const std::span<const float> query = row.query_vector();
    std::vector<float> least = plain::key_of(row, first);
    std::vector<float> greatest = least;
    for (std::int64_t key = first; key < std::min(first + page_, row.key_len()); ++key) {
      const std::vector<float> components = plain::key_of(row, key);
      for (std::size_t d = 0; d < least.size(); ++d) {
        least[d] = std::min(least[d], components[d]);
        greatest[d] = std::max(greatest[d], components[d]);
      }
    }
    float score = 0;
    for (std::size_t d = 0; d < least.size(); ++d) {
      score = std::fma(std::min(query[d], 0.0F), least[d], score);
      score = std::fma(std::max(query[d], 0.0F), greatest[d], score);
    }
    return score;
  }

  sdk::Budget budget_;
  std::int64_t page_;
  std::int64_t min_pages_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(PlainQuest)
