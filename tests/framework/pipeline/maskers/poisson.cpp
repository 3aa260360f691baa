#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Keeps each key with one probability, whatever is active: a sampler that reads nothing.
class Poisson final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "poisson",
            .summary = "each key by its own coin",
            .depends_on = sdk::kShape | sdk::kSeed,
            .traits = MASKERADE_TRAIT_SAMPLES,
            .parameters = {sdk::share("rate", "probability of a key").with_default("25%")}};
  }
  explicit Poisson(const sdk::Arguments& arguments) : rate_(arguments.share("rate")) {}

  void select_row(const sdk::Row& row) const override {
    for (std::int64_t key = 0; key < row.visible_len(); ++key) {
      if (row.call().services->uniform(&row.call(), row.number(), 0, key) < rate_) {
        row.add_key(key, static_cast<float>(rate_));
      }
    }
  }

 private:
  double rate_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Poisson)
