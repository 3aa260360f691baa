#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The sink, key by key.
class PlainSink final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "sink",
            .summary = "each key, if it is among the first ones",
            .depends_on = sdk::kShape,
            .parameters = {sdk::tokens("tokens", "keys from the start").with_default("128")}};
  }
  explicit PlainSink(const sdk::Arguments& arguments) : tokens_(arguments.tokens("tokens")) {}

  void select_row(const sdk::Row& row) const override {
    for (std::int64_t key = 0; key < row.visible_len(); ++key) {
      if (key < row.resolve(tokens_)) row.add_key(key);
    }
  }

 private:
  sdk::Tokens tokens_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(PlainSink)
