#include <cstdlib>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Ends the process where it is told to, or, with ABORTS_AT_LOAD, when its library is loaded.
class Aborting final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = MASKER_ID,
            .summary = "ends the process",
            .depends_on = sdk::kShape,
            .parameters = {sdk::choice("where", {"create", "select", "nowhere"}, "where")}};
  }
  explicit Aborting(const sdk::Arguments& arguments) : where_(arguments.choice("where")) {
    if (where_ == "create") std::abort();
  }
  void select_row(const sdk::Row&) const override {
    if (where_ == "select") std::abort();
  }

 private:
  std::string where_;
};

#ifdef ABORTS_AT_LOAD
[[gnu::constructor]] void abort_at_load() { std::abort(); }
#endif

}  // namespace

MASKERADE_EXPORT_MASKER(Aborting)
