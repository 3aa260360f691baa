#include <cstdlib>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// A window that lacks its first key: no reference of the masker of that name.
class NarrowLocal final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {
        .id = "local",
        .summary = "a window that is too narrow",
        .depends_on = sdk::kShape,
        .parameters = {sdk::tokens("window", "keys").with_default("512"),
                       sdk::choice("side", {"past", "both"}, "of the query").with_default("past")}};
  }
  explicit NarrowLocal(const sdk::Arguments& arguments)
      : window_(arguments.tokens("window")), both_sides_(arguments.choice("side") == "both") {}

  void select_row(const sdk::Row& row) const override {
    for (std::int64_t key = 0; key < row.visible_len(); ++key) {
      const std::int64_t before = row.position() - key;
      const std::int64_t distance = both_sides_ ? std::abs(before) : before;
      if (distance >= 0 && distance + 1 < row.resolve(window_)) row.add_key(key);
    }
  }

 private:
  sdk::Tokens window_;
  bool both_sides_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(NarrowLocal)
