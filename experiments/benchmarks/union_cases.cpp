#include <fmt/format.h>

#include <cmath>

#include "experiments/benchmarks/function_work.hpp"
#include "experiments/benchmarks/random_masks.hpp"
#include "experiments/benchmarks/tables.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"

namespace maskerade {
namespace {

// Two masks, their weights [heads, key_len], and their union.
struct UnionState {
  std::vector<float> a_weights;
  std::vector<float> b_weights;
  Mask a;
  Mask b;
  Mask result;

  void check() const {
    const std::vector<float> united = to_dense(result);
    for (std::size_t i = 0; i < united.size(); ++i) {
      const float p = a_weights[i];
      const float q = b_weights[i];
      const float expected = p == 1 || q == 1 ? 1 : 1 - (1 - p) * (1 - q);
      require(std::abs(united[i] - expected) <= 1e-6F,
              fmt::format("entry {} of the union is {}, not {}", i, united[i], expected));
    }
  }
};

BenchmarkCase union_case(const MaskSize& full, double density, bool sampled, Scale scale) {
  const MaskSize size = scale == Scale::kFull ? full : MaskSize{4, full.key_len / 32};
  return {
      fmt::format("union/keys={}/density={}{}", full.key_len, density, sampled ? "/sampled" : ""),
      [=](const BenchmarkContext&, const Threads&) {
        auto a = random_mask_weights(size, density, sampled, 42);
        auto b = random_mask_weights(size, partner_density(density), sampled, 43);
        const Visibility visibility = Visibility::all(1, size.key_len);
        const MaskExtent extent{1, size.heads};
        Mask a_mask = from_dense(visibility, extent, a);
        Mask b_mask = from_dense(visibility, extent, b);
        const auto state =
            std::make_shared<UnionState>(UnionState{std::move(a), std::move(b), std::move(a_mask),
                                                    std::move(b_mask), Mask::empty(visibility)});
        return function_work({.run = [state] { state->result = union_of(state->a, state->b); },
                              .check = [state] { state->check(); },
                              .counts = [=]() -> WorkCounts {
                                return {.items = static_cast<double>(size.entries()),
                                        .density = maskerade::density(state->result)};
                              }});
      }};
}

}  // namespace

// The union of two random masks with one query and 32 heads.
std::vector<BenchmarkCase> union_cases(Scale scale) {
  std::vector<BenchmarkCase> cases;
  for (const std::int64_t key_len : {32768, 131072}) {
    for (const bool sampled : {false, true}) {
      for (const double density : kMaskDensities) {
        cases.push_back(union_case({.key_len = key_len}, density, sampled, scale));
      }
    }
  }
  return cases;
}

}  // namespace maskerade
