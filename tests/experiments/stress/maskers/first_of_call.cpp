#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The first row of each call gets the first key: what is selected depends on the chunks.
class FirstOfCall final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    return {.id = "first_of_call",
            .summary = "the first row of a call",
            .depends_on = sdk::kShape,
            .parameters = {sdk::count("tables", "nothing").with_default("2").at_least(1)}};
  }
  explicit FirstOfCall(const sdk::Arguments&) {}
  void select(const maskerade_call& call) const override { sdk::Row(call, 0).add_key(0); }
};

}  // namespace

MASKERADE_EXPORT_MASKER(FirstOfCall)
