#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Sliding window (Longformer, arXiv 2004.05150): the query's own key and those before it.
class Local final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "local",
            .summary = "a window of keys that ends at the query",
            .reference = "arXiv:2004.05150",
            .depends_on = sdk::kShape,
            .parameters = {
                sdk::tokens("window", "keys, the query's own included").with_default("512")}};
  }

  explicit Local(const sdk::Arguments& arguments) : window_(arguments.tokens("window")) {}

  void select_row(const sdk::Row& row) const override {
    const std::int64_t end = row.position() + 1;
    row.add_range(end - row.resolve(window_), end);
  }

 private:
  sdk::Tokens window_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Local)
