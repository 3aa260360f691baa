#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Adds one key more than its budget.
class OverBudget final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "over_budget",
            .summary = "one key more than the budget",
            .depends_on = sdk::kShape,
            .parameters = {sdk::tokens("budget", "keys of a row"),
                           sdk::choice("order", {"ascending", "descending"}, "nothing")
                               .with_default("ascending")}};
  }
  explicit OverBudget(const sdk::Arguments& arguments) : budget_(arguments.tokens("budget")) {}
  void select_row(const sdk::Row& row) const override {
    row.add_range(0, row.resolve(budget_) + 1);
  }

 private:
  sdk::Tokens budget_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(OverBudget)
