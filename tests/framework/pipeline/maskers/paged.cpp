#include <algorithm>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

constexpr std::int64_t kPage = 8;

// Keeps, per page of keys, the largest first component; selects the page where it is largest.
class Paged final : public sdk::RowMasker {
 public:
  struct Index {
    std::vector<float> largest;
  };
  static constexpr bool kIndexSpansFuture = true;

  static sdk::Description describe() {
    return {.id = "paged", .summary = "one page of an index", .depends_on = sdk::kKey};
  }
  explicit Paged(const sdk::Arguments&) {}

  void select_row(const sdk::Row& row) const override {
    const auto& largest = row.index<Index>().largest;
    const auto page = std::max_element(largest.begin(), largest.end()) - largest.begin();
    row.add_range(page * kPage, (page + 1) * kPage);
  }

  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    auto index = std::make_unique<Index>();
    append(*index, span);
    return index;
  }
  void append(Index& index, const maskerade_key_span& span) const {
    const auto* keys = static_cast<const float*>(span.keys);
    for (std::int64_t key = span.key_begin; key < span.key_end; ++key) {
      const float first = keys[(key - span.key_begin) * span.key_row_stride];
      if (key % kPage == 0) index.largest.push_back(first);
      index.largest.back() = std::max(index.largest.back(), first);
    }
  }
  void truncate(Index& index, std::int64_t key_end) const {
    index.largest.resize(static_cast<std::size_t>((key_end + kPage - 1) / kPage));
  }
  std::size_t size_bytes(const Index& index) const { return index.largest.size() * sizeof(float); }
};

}  // namespace

MASKERADE_EXPORT_MASKER(Paged)
