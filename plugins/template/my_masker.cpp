// A masker that decides row by row. Change what select_row() adds, the parameters, and what
// depends_on names: what is not named there cannot be read. The class lives in an unnamed
// namespace, so that plugins cannot collide.
#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

class MyMasker final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "my_masker",
            .summary = "a template: one band of keys a fixed distance before the query",
            .depends_on = sdk::kShape,  // add kQuery, kKey, kActive, ... where it looks at them
            .parameters = {
                sdk::tokens("distance", "keys between the band and the query").with_default("256"),
                sdk::tokens("width", "keys in the band").with_default("16").at_least(1)}};
  }

  explicit MyMasker(const sdk::Arguments& arguments)
      : distance_(arguments.tokens("distance")), width_(arguments.tokens("width")) {}

  void select_row(const sdk::Row& row) const override {
    const std::int64_t end = row.position() + 1 - row.resolve(distance_);
    row.add_range(end - row.resolve(width_), end);
  }

 private:
  sdk::Tokens distance_;
  sdk::Tokens width_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(MyMasker)
