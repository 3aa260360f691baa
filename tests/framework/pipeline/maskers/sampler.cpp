#include <cstdint>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Draws keys without replacement through the host.
class Sampler final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "sampler",
            .summary = "a uniform draw",
            .depends_on = sdk::kShape | sdk::kSeed | sdk::kActive,
            .traits = MASKERADE_TRAIT_SAMPLES,
            .parameters = {sdk::count("keys", "keys to draw")}};
  }
  explicit Sampler(const sdk::Arguments& arguments) : keys_(arguments.count("keys")) {}

  void select_row(const sdk::Row& row) const override {
    std::vector<std::int32_t> keys(static_cast<std::size_t>(keys_));
    std::size_t population = 0;
    // Who wants all of them may ask for as many as can be.
    const std::size_t wanted = keys_ < row.key_len() ? keys.size() : SIZE_MAX;
    keys.resize(row.call().services->draw(&row.call(), row.number(), 0, 0, row.key_len(), wanted,
                                          keys.data(), &population));
    const std::vector<float> probabilities(
        keys.size(), static_cast<float>(keys.size()) / static_cast<float>(population));
    row.add_keys(keys, probabilities);
  }

 private:
  std::int64_t keys_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Sampler)
