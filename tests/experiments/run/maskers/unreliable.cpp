#include <atomic>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Breaks a rule in the way that it is told to.
class Unreliable final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {
        .id = "unreliable",
        .summary = "breaks the rules",
        .depends_on = sdk::kShape | sdk::kQuery | sdk::kSeed,
        .traits = MASKERADE_TRAIT_SAMPLES,
        .parameters = {sdk::choice("how", {"throws", "flickers", "writes", "samples", "nothing"},
                                   "which rule it breaks")}};
  }
  explicit Unreliable(const sdk::Arguments& arguments) : how_(arguments.choice("how")) {}

  void select_row(const sdk::Row& row) const override {
    if (how_ == "throws") throw std::runtime_error("no codebook for this layer");
    if (how_ == "nothing") return;
    if (how_ == "flickers") return row.add_key(calls++ % row.visible_len());
    if (how_ == "writes") {
      const auto* element = static_cast<const float*>(row.call().q.data);
      const_cast<float&>(*element) += 1.0F;
    }
    for (std::int64_t key = 0; key < row.visible_len(); ++key) {
      if (row.call().services->uniform(&row.call(), row.number(), 0, key) < 0.5) {
        row.add_key(key, how_ == "samples" ? 0.5F : 1.0F);
      }
    }
  }

 private:
  static inline std::atomic<std::int64_t> calls = 0;
  std::string how_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Unreliable)
