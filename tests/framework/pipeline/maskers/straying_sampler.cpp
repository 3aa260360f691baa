#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// States where its keys begin, and draws one key wherever it is told to.
class StrayingSampler final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "straying_sampler",
            .summary = "one key with a probability",
            .depends_on = sdk::kShape | sdk::kSeed,
            .traits = MASKERADE_TRAIT_SAMPLES,
            .parameters = {sdk::tokens("begin", "where its keys begin").population_begin(),
                           sdk::count("key", "the key"),
                           sdk::share("probability", "of the key").with_default("50%")}};
  }
  explicit StrayingSampler(const sdk::Arguments& arguments)
      : key_(arguments.count("key")),
        probability_(static_cast<float>(arguments.share("probability"))) {}

  void select_row(const sdk::Row& row) const override { row.add_key(key_, probability_); }

 private:
  std::int64_t key_;
  float probability_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(StrayingSampler)
