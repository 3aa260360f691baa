// Breaks the rules of the device path in the way that it is told.

#include "framework/sdk/masker.cuh"
#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;
namespace device = maskerade::sdk::device;

struct EveryOtherKey {
  MASKERADE_KERNEL std::uint64_t operator()(const device::Rows&,
                                            const device::MaskRow&,
                                            std::int64_t) const {
    return 0x5555555555555555;
  }
};

struct ListTwice {
  maskerade_cuda_rows rows;

  MASKERADE_KERNEL void operator()(std::int64_t row) const {
    rows.sampled_bits[row * rows.words] |= 1 << 5;
    rows.sampled_counts[row] = 2;
    for (std::int64_t s = 0; s < 2; ++s) {
      rows.sampled_keys[row * rows.sampled_capacity + s] = 5;
      rows.sampled_probabilities[row * rows.sampled_capacity + s] = 0.5F;
    }
  }
};

// Without a bit, or where there is no bit.
struct ListUnknown {
  maskerade_cuda_rows rows;
  std::int32_t key;

  MASKERADE_KERNEL void operator()(std::int64_t row) const {
    rows.sampled_counts[row] = 1;
    rows.sampled_keys[row * rows.sampled_capacity] = key;
    rows.sampled_probabilities[row * rows.sampled_capacity] = 0.5F;
  }
};

struct Draws {
  std::int64_t* counts;
  float* probabilities;
  std::int64_t* begins;
  std::int64_t* ends;
  std::int64_t count;
  float probability;

  MASKERADE_KERNEL void operator()(std::int64_t row) const {
    counts[row] = count;
    probabilities[row] = probability;
    begins[row] = 0;
    ends[row] = 1000;
  }
};

class Understated final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "understated",
            .summary = "breaks a rule on the device",
            .depends_on = sdk::kShape | sdk::kSeed | sdk::kActive,
            .traits = MASKERADE_TRAIT_SAMPLES,
            .parameters = {sdk::choice("rule",
                                       {"bits", "sampled", "probability", "twice", "unlisted",
                                        "outside", "throw", "undeclared", "bounds"},
                                       "which one")}};
  }
  explicit Understated(const sdk::Arguments& arguments) : rule_(arguments.choice("rule")) {}

  void select_row(const sdk::Row&) const override {}

  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call&) const {
    if (rule_ == "bounds") throw std::runtime_error("it knows no bounds");
    return maskerade_cuda_bounds{.tiles_per_tile_row = 1, .keys_per_row = 1, .sampled_per_row = 4};
  }
  void select_on_device(const maskerade_cuda_call& call) const {
    if (rule_ == "throw") throw std::runtime_error("it will not");
    if (rule_ == "undeclared") {
      device::require_ok(call.services->score_rows(&call, 0, 1, nullptr, 0));
    }
    if (rule_ == "bits") return device::add_words(call, EveryOtherKey{});
    const std::int64_t rows = device::Rows(call.rows).count();
    if (rule_ == "twice") return device::for_each(call, rows, ListTwice{call.rows});
    if (rule_ == "unlisted") return device::for_each(call, rows, ListUnknown{call.rows, 5});
    if (rule_ == "outside") return device::for_each(call, rows, ListUnknown{call.rows, 1 << 30});
    const Draws draws{device::allocate<std::int64_t>(call, rows),
                      device::allocate<float>(call, rows),
                      device::allocate<std::int64_t>(call, rows),
                      device::allocate<std::int64_t>(call, rows),
                      rule_ == "probability" ? 3 : 5,
                      rule_ == "probability" ? -0.5F : 0.5F};
    device::for_each(call, rows, draws);
    device::require_ok(
        call.services->draw(&call, 0, draws.begins, draws.ends, draws.counts, draws.probabilities));
  }

 private:
  std::string rule_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Understated)
