#include <memory>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Selects the last key of its index, which takes no notice of keys that are appended.
class DeafIndex final : public sdk::RowMasker {
 public:
  struct Index {
    std::int64_t built = 0;
    std::int64_t key_end = 0;
  };
  static constexpr bool kIndexSpansFuture = true;

  static sdk::Description describe() {
    return {.id = "deaf_index",
            .summary = "the last key that the index was built over",
            .depends_on = sdk::kShape | sdk::kKey};
  }
  explicit DeafIndex(const sdk::Arguments&) {}

  void select_row(const sdk::Row& row) const override {
    row.add_range(row.index<Index>().built - 1, row.index<Index>().built);
  }
  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    return std::make_unique<Index>(Index{span.key_end, span.key_end});
  }
  void append(Index& index, const maskerade_key_span& span) const { index.key_end = span.key_end; }
  void truncate(Index& index, std::int64_t key_end) const { index.key_end = key_end; }
  std::size_t size_bytes(const Index&) const { return sizeof(Index); }
};

}  // namespace

MASKERADE_EXPORT_MASKER(DeafIndex)
