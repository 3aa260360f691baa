#include <memory>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Selects the last key that its index has, which misses keys that come alone.
class StaleIndex final : public sdk::RowMasker {
 public:
  struct Index {
    std::int64_t key_end = 0;
  };
  static constexpr bool kIndexSpansFuture = true;

  static sdk::Description describe() {
    return {.id = "stale_index",
            .summary = "the last key of an index",
            .depends_on = sdk::kShape | sdk::kKey};
  }
  explicit StaleIndex(const sdk::Arguments&) {}

  void select_row(const sdk::Row& row) const override {
    const std::int64_t last = row.index<Index>().key_end - 1;
    row.add_range(last, last + 1);
  }
  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    return std::make_unique<Index>(Index{span.key_end});
  }
  void append(Index& index, const maskerade_key_span& span) const {
    if (span.key_end - span.key_begin > 1) index.key_end = span.key_end;
  }
  void truncate(Index& index, std::int64_t key_end) const { index.key_end = key_end; }
  std::size_t size_bytes(const Index&) const { return sizeof(Index); }
};

}  // namespace

MASKERADE_EXPORT_MASKER(StaleIndex)
