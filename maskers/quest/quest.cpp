#include <tuple>

#include "framework/sdk/masker.hpp"
#include "framework/sdk/quantise.hpp"
#include "maskers/quest/quest_device.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Quest (arXiv 2406.10774): pages of keys ranked by an upper bound of q.k over the page,
// sum over d of max(q_d min_d, q_d max_d), from the least and greatest of its keys in every
// dimension. Pages that hold active keys compete like the others; a budget that reaches all of a
// row's inactive keys takes every page.
class Quest final : public sdk::CandidateMasker {
 public:
  struct Index {
    std::vector<float> bounds;  // [pages][head_dim][2]: least, greatest; quantised
    std::vector<float> least;   // [head_dim] of the last page, not quantised
    std::vector<float> greatest;
  };
  static constexpr bool kIndexSpansFuture = true;  // a page at the causal edge
  static constexpr bool kAppendIsBuild = true;

  static sdk::Description describe() {
    return {.id = "quest",
            .summary = "the pages of keys with the largest upper bound of q.k",
            .reference = "arXiv:2406.10774",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey | sdk::kActive,
            .parameters = sdk::budget_table(
                {sdk::count("page_size", "keys of a page")
                     .at_least(1)
                     .with_default("16")
                     .affects_index(),
                 sdk::count("label_bits",
                            "bits of a page's least and greatest; 16: "
                            "not quantised")
                     .at_least(1)
                     .at_most(16)
                     .with_default("16")
                     .affects_index(),
                 sdk::blocks("min_pages", "pages taken at least").with_default("3")},
                "keys to select, in whole pages: at least min_pages, all once it reaches every "
                "key")};
  }

  explicit Quest(const sdk::Arguments& arguments)
      : CandidateMasker(sdk::Sharing::from(arguments)),
        budget_(arguments),
        page_(arguments.count("page_size")),
        label_bits_(static_cast<int>(arguments.count("label_bits"))),
        min_pages_(arguments.blocks("min_pages")) {}

  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    auto index = std::make_unique<Index>();
    append(*index, span);
    return index;
  }
  void append(Index& index, const maskerade_key_span& span) const {
    const sdk::KeySpan keys(span);
    for (std::int64_t first = keys.begin(); first < keys.end();) {
      const std::int64_t page = first / page_;
      const std::int64_t last = std::min((page + 1) * page_, keys.end());
      add_keys(index, page, first, keys.keys(first, last), keys.dim());
      first = last;
    }
  }
  void truncate(Index& index, const maskerade_key_span& span) const {
    const sdk::KeySpan keys(span);
    const std::int64_t page = keys.end() / page_;
    index.bounds.resize(static_cast<std::size_t>(page) * 2 * keys.dim());
    if (page * page_ == keys.end()) return;
    add_keys(index, page, page * page_, keys.keys(page * page_, keys.end()), keys.dim());
  }
  std::size_t size_bytes(const Index& index) const {
    return (index.bounds.size() + index.least.size() + index.greatest.size()) * sizeof(float);
  }

  std::int64_t candidates(std::int64_t visible_len) const override {
    return (visible_len + page_ - 1) / page_;
  }
  // A page's bound as one product, in the order of d: (min(q, 0), max(q, 0)) . (least, greatest).
  void score_rows(const sdk::RowRange& rows, float* scores, std::int64_t stride) const override {
    std::vector<float> signs;
    for (const float q : rows.queries()) {
      signs.insert(signs.end(), {std::min(q, 0.0F), std::max(q, 0.0F)});
    }
    const std::int64_t pages = candidates(rows.visible_end());
    const std::int64_t width = 2 * rows.call.shape.head_dim;
    rows[0].host().multiply_rows(signs, rows[0].index<Index>().bounds.data(), width,
                                 static_cast<std::size_t>(pages), static_cast<std::size_t>(width),
                                 scores, stride);
    std::int64_t scored = 0;
    for (std::int64_t i = 0; i < rows.size(); ++i) scored += candidates(rows[i].visible_len());
    rows.call.services->count_work(&rows.call, scored,
                                   pages * width * static_cast<std::int64_t>(sizeof(float)));
  }
  void add_best(const sdk::Row& row, std::span<const float> scores) const override {
    const auto all = static_cast<std::int64_t>(scores.size());
    const std::int64_t pages =
        sdk::pieces_of_budget(budget_.of(row), budget_.reaches_all(row), page_, min_pages_, all);
    for (const std::int32_t page : row.top_indices(scores, pages)) {
      row.add_range(page * page_, (page + 1) * page_);
    }
  }

#ifdef MASKERADE_WITH_CUDA
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call& call) const {
    const std::int64_t keys = budget_.keys().of(call.shape.key_len, call.shape.key_len);
    const std::int64_t tiles = 64 % page_ == 0 ? 1 : (page_ + 62) / 64 + 1;
    return sdk::bounds_of_pieces(call, sdk::most_pieces_of_budget(keys, page_, min_pages_), page_,
                                 tiles);
  }
  std::span<const float> index_data(const Index& index) const { return index.bounds; }
  void select_on_device(const maskerade_cuda_call& call) const {
    maskerade::quest::select_on_device(
        call, {budget_.keys().value(), budget_.is_total(), page_, min_pages_,
               sharing().together(call.shape), sharing().sum});
  }
#endif

 private:
  // Adds keys [keys][dim] to a page, from key `first` on; the page is new when that is its first
  // key.
  void add_keys(Index& index,
                std::int64_t page,
                std::int64_t first,
                const std::vector<float>& keys,
                std::size_t dim) const {
    const auto at = keys.begin();
    if (first % page_ == 0) {
      index.least.assign(at, at + static_cast<std::ptrdiff_t>(dim));
      index.greatest = index.least;
    }
    for (std::size_t key = 0; key < keys.size(); key += dim) {
      for (std::size_t d = 0; d < dim; ++d) {
        index.least[d] = std::min(index.least[d], keys[key + d]);
        index.greatest[d] = std::max(index.greatest[d], keys[key + d]);
      }
    }
    std::vector<float> least = index.least;
    std::vector<float> greatest = index.greatest;
    if (label_bits_ < 16) {
      sdk::quantise(least, label_bits_);
      sdk::quantise(greatest, label_bits_);
    }
    index.bounds.resize(static_cast<std::size_t>(page + 1) * 2 * dim);
    float* bounds = &index.bounds[static_cast<std::size_t>(page) * 2 * dim];
    for (std::size_t d = 0; d < dim; ++d) {
      // Each is quantised on its own, after which the least may be the greater of the two.
      std::tie(bounds[2 * d], bounds[2 * d + 1]) = std::minmax(least[d], greatest[d]);
    }
  }

  sdk::Budget budget_;
  std::int64_t page_;  // in keys
  int label_bits_;
  std::int64_t min_pages_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Quest)
