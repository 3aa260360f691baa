// The kind `gaussian`: independent standard normal numbers.
#include <fmt/format.h>

#include "experiments/sources/gaussian.hpp"
#include "experiments/sources/source_kinds.hpp"

namespace maskerade {
namespace {

class Gaussian final : public GeneratedSource {
 public:
  explicit Gaussian(const Settings& settings)
      : seed_(settings.seed("seed")),
        key_spread_(settings.has("key_spread") ? settings.number("key_spread") : 0) {}

  const char* kind() const noexcept override { return "gaussian"; }

  SourceDescription describe() const override {
    SourceDescription description{.name = fmt::format("gaussian seed {}", seed_), .seed = seed_};
    if (key_spread_ > 0) {
      description.name += fmt::format(", key_spread {}", key_spread_);
      description.parameters = {{"key_spread", fmt::to_string(key_spread_)}};
    }
    return description;
  }

  QkvTensors generate(const GenerationRequest& request) const override {
    const AttentionShape& shape = request.shape;
    const auto of_keys = [&](GaussianTensor tensor, double spread) {
      return gaussian_tensor(seed_, tensor, request.dtype, shape.batch, shape.kv_heads,
                             shape.key_len, shape.head_dim, spread);
    };
    return {.q = gaussian_rows(seed_, GaussianTensor::kQuery, request.dtype, shape.batch,
                               shape.query_heads, request.query_rows, shape.head_dim),
            .k = of_keys(GaussianTensor::kKey, key_spread_),
            .v = of_keys(GaussianTensor::kValue, 0)};
  }

 private:
  std::uint64_t seed_;
  double key_spread_;  // each key is longer by a log-normal factor of that sigma
};

}  // namespace

SourceKind gaussian_source() {
  return {.name = "gaussian",
          .called = "a gaussian source",
          .example = "{kind: gaussian, seed: 1}",
          .keys = {seed_key(),
                   {.name = "key_spread",
                    // Rationale: beyond it, keys leave the range of float16.
                    .form = SettingForm::number(1.5),
                    .otherwise = "0",
                    .meaning = "makes each key longer by a log-normal factor of that sigma, so "
                               "that a few keys hold most of the mass",
                    .example = "1"}},
          .read = read_one_source<Gaussian>};
}

}  // namespace maskerade
