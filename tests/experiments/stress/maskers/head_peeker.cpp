#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Selects a key by the number of its head, which it does not declare.
class HeadPeeker final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "head_peeker", .summary = "a key by the head", .depends_on = sdk::kShape};
  }
  explicit HeadPeeker(const sdk::Arguments&) {}
  void select_row(const sdk::Row& row) const override { row.add_key(row.head()); }
};

}  // namespace

MASKERADE_EXPORT_MASKER(HeadPeeker)
