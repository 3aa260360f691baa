#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Fails in the way that it is told to.
class Faulty final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "faulty",
            .summary = "fails",
            .depends_on = sdk::kShape,
            .parameters = {sdk::choice("how",
                                       {"create", "select", "key", "probability", "row", "grain",
                                        "reads_active", "draws", "scores", "ranks"},
                                       "where it fails")}};
  }
  explicit Faulty(const sdk::Arguments& arguments) : how_(arguments.choice("how")) {
    if (how_ == "create") throw std::runtime_error("no weights for this layer");
  }

  maskerade_grain grain() const override { return {how_ == "grain" ? 0 : 1, MASKERADE_HEADS_ONE}; }
  void select_row(const sdk::Row& row) const override {
    if (how_ == "select") throw std::runtime_error("something in select");
    if (how_ == "key") row.add_key(row.key_len());
    if (how_ == "probability") row.add_key(0, 0.5F);
    if (how_ == "reads_active") row.active_count();
    if (how_ == "draws") row.call().services->uniform(&row.call(), row.number(), 0, 0);
    if (how_ == "scores") row.products(0, 0, {});
    if (how_ == "ranks") row.add_top({}, 1);
    if (how_ == "row") {
      // The status is ignored on purpose: the host must remember.
      row.call().services->add_range(&row.call(), 1'000'000, 1'000'001, 0, 1);
    }
  }

 private:
  std::string how_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Faulty)
