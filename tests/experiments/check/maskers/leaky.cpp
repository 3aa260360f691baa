#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Selects as it should, and loses what it allocated for each row.
class Leaky final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "leaky", .summary = "forgets its memory", .depends_on = sdk::kShape};
  }
  explicit Leaky(const sdk::Arguments&) {}
  void select_row(const sdk::Row& row) const override {
    std::int64_t* const volatile lost = new std::int64_t(row.position());
    row.add_key(*lost);
  }
};

}  // namespace

MASKERADE_EXPORT_MASKER(Leaky)
