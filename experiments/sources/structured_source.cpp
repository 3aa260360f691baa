// The kind `structured`: numbers whose softmax mass lies where trained attention puts it.
#include <fmt/format.h>

#include <utility>

#include "experiments/sources/source_kinds.hpp"
#include "experiments/sources/structured.hpp"

namespace maskerade {
namespace {

class Structured final : public GeneratedSource {
 public:
  explicit Structured(const Settings& settings)
      : traits_{.seed = settings.seed("seed"),
                .rank = settings.whole("rank"),
                .contrast = settings.number("contrast"),
                .sinks = settings.whole("sinks"),
                .sink_mass = settings.share("sink_mass"),
                .window = settings.whole("window"),
                .local_mass = settings.share("local_mass"),
                .hitters = settings.share("hitters"),
                .hitter_mass = settings.share("hitter_mass"),
                .rope_base = settings.number("rope_base")} {
    const double aimed = traits_.sink_mass + traits_.local_mass + traits_.hitter_mass;
    if (aimed <= 0.99) return;
    throw ConfigError(settings.position(),
                      fmt::format("sink_mass, local_mass and hitter_mass sum to {:.4g}%; they must "
                                  "leave at least 1% for the other keys",
                                  100 * aimed));
  }

  const char* kind() const noexcept override { return "structured"; }

  SourceDescription describe() const override {
    return {.name = fmt::format("structured seed {}", traits_.seed),
            .seed = traits_.seed,
            .parameters = {{"rank", fmt::to_string(traits_.rank)},
                           {"contrast", fmt::to_string(traits_.contrast)},
                           {"sinks", fmt::to_string(traits_.sinks)},
                           {"sink_mass", fmt::to_string(traits_.sink_mass)},
                           {"window", fmt::to_string(traits_.window)},
                           {"local_mass", fmt::to_string(traits_.local_mass)},
                           {"hitters", fmt::to_string(traits_.hitters)},
                           {"hitter_mass", fmt::to_string(traits_.hitter_mass)},
                           {"rope_base", fmt::to_string(traits_.rope_base)}}};
  }

  std::optional<ShapeRefusal> refusal_of(const AttentionShape& shape) const override {
    if (shape.head_dim >= 16 && shape.head_dim % 2 == 0) return std::nullopt;
    return ShapeRefusal{"head_dim", fmt::format("has head_dim {}; a structured source needs an "
                                                "even one of at least 16",
                                                shape.head_dim)};
  }

  QkvTensors generate(const GenerationRequest& request) const override {
    return structured_tensors(traits_, request.shape, request.dtype, request.causal, request.scale,
                              request.query_positions, Threads::all_processors());
  }

 private:
  StructuredTraits traits_;
};

}  // namespace

SourceKind structured_source() {
  const StructuredTraits usual;
  return {.name = "structured",
          .called = "a structured source",
          .example = "{kind: structured, seed: 1}",
          .keys = {seed_key(),
                   {.name = "rank",
                    .form = SettingForm::whole("count", 1),
                    .default_text = default_text_of(usual.rank),
                    .meaning = "directions that the content of a head's keys spans",
                    .example = "16"},
                   {.name = "contrast",
                    .form = SettingForm::number(10),
                    .default_text = default_text_of(usual.contrast),
                    .meaning = "standard deviation of a query's content logits, in nats",
                    .example = "3"},
                   {.name = "sinks",
                    .form = SettingForm::whole("tokens", 0),
                    .default_text = default_text_of(usual.sinks),
                    .meaning = "the first keys, which draw every query",
                    .example = "1"},
                   {.name = "sink_mass",
                    .form = SettingForm::share(),
                    .default_text = text_of_share(usual.sink_mass),
                    .meaning = "softmax mass that they hold; 0: nothing draws a query to them",
                    .example = "30%"},
                   {.name = "window",
                    .form = SettingForm::whole("tokens", 1),
                    .default_text = default_text_of(usual.window),
                    .meaning = "how near a near key is",
                    .example = "128"},
                   {.name = "local_mass",
                    .form = SettingForm::share(),
                    .default_text = text_of_share(usual.local_mass),
                    .meaning = "softmax mass that the near keys hold",
                    .example = "0.2"},
                   {.name = "hitters",
                    .form = SettingForm::share(),
                    .default_text = text_of_share(usual.hitters),
                    .meaning = "of the keys: those that every query of a group favours",
                    .example = "0.5%"},
                   {.name = "hitter_mass",
                    .form = SettingForm::share(),
                    .default_text = text_of_share(usual.hitter_mass),
                    .meaning = "softmax mass that they hold; 0: nothing draws a query to them",
                    .example = "10%"},
                   {.name = "rope_base",
                    .form = SettingForm::number(1e12),
                    .default_text = default_text_of(usual.rope_base),
                    .meaning = "of the rotary position embedding",
                    .example = "10000"}},
          .read = read_one_source<Structured>};
}

}  // namespace maskerade
