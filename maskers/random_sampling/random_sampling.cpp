#include "framework/sdk/masker.hpp"
#include "maskers/random_sampling/random_sampling_device.hpp"

namespace {

namespace sdk = maskerade::sdk;

// A uniform draw without replacement: b of the row's n candidates, each with probability b / n, so
// that drawing all of them is exact.
class RandomSampling final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {
        .id = "random_sampling",
        .summary = "a uniform draw without replacement; every head draws its own",
        .depends_on = sdk::kShape | sdk::kSeed | sdk::kActive,
        .traits = MASKERADE_TRAIT_SAMPLES,
        .parameters = {
            sdk::share("rate", "share of the candidates to draw, rounded down; at least one key")
                .above(0),
            sdk::tokens("init_offset", "first keys that are no candidates")
                .with_default("0")
                .population_begin(),
            sdk::tokens("local_offset", "last keys that are no candidates")
                .with_default("0")
                .population_end_offset()}};
  }

  explicit RandomSampling(const sdk::Arguments& arguments)
      : rate_(arguments.exact_share("rate")),
        init_offset_(arguments.tokens("init_offset")),
        local_offset_(arguments.tokens("local_offset")) {}

  void select_row(const sdk::Row& row) const override {
    const std::int64_t begin = std::min(row.resolve(init_offset_), row.key_len());
    const std::int64_t end = std::max(begin, row.key_len() - row.resolve(local_offset_));
    const std::int64_t candidates = row.candidates(begin, end);
    if (candidates == 0) return;
    const std::int64_t draws = std::max<std::int64_t>(1, rate_ * candidates / sdk::kHundredPercent);
    const std::vector<std::int32_t> keys = row.draw(0, begin, end, draws);
    const auto probability = static_cast<float>(draws) / static_cast<float>(candidates);
    row.add_keys(keys, std::vector<float>(keys.size(), probability));
  }

#ifdef MASKERADE_WITH_CUDA
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call& call) const {
    const std::int64_t draws =
        std::max<std::int64_t>(1, rate_ * call.shape.key_len / sdk::kHundredPercent);
    // Where every candidate is drawn, or the only one, its probability is 1.
    maskerade_cuda_bounds bounds =
        sdk::bounds_of_pieces(call, rate_ == sdk::kHundredPercent ? draws : 1, 1, 1);
    bounds.sampled_per_row = rate_ == sdk::kHundredPercent ? 0 : draws;
    return bounds;
  }
  void select_on_device(const maskerade_cuda_call& call) const {
    maskerade::random_sampling::select_on_device(
        call, {rate_, init_offset_.value(), local_offset_.value()});
  }
#endif

 private:
  std::int64_t rate_;  // an exact share
  sdk::Tokens init_offset_;
  sdk::Tokens local_offset_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(RandomSampling)
