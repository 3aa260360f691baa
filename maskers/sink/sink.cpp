#include "framework/sdk/masker.hpp"
#include "maskers/sink/sink_device.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Attention sinks (StreamingLLM, arXiv 2309.17453): the first keys of the sequence.
class Sink final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    return {.id = "sink",
            .summary = "the first keys of the sequence",
            .reference = "arXiv:2309.17453",
            .depends_on = sdk::kShape,
            .parameters = {sdk::tokens("tokens", "keys from the start").with_default("128")}};
  }

  explicit Sink(const sdk::Arguments& arguments) : tokens_(arguments.tokens("tokens")) {}

  // Adds the same keys to consecutive rows at once.
  void select(const maskerade_call& call) const override {
    const std::int64_t rows = sdk::row_count(call);
    for (std::int64_t begin = 0; begin < rows;) {
      const std::int64_t keys = sdk::Row(call, begin).resolve(tokens_);
      std::int64_t end = begin + 1;
      while (end < rows && sdk::Row(call, end).resolve(tokens_) == keys) ++end;
      sdk::require_ok(call.services->add_range(&call, begin, end, 0, keys));
      begin = end;
    }
  }

#ifdef MASKERADE_WITH_CUDA
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call& call) const {
    const std::int64_t keys = tokens_.of(call.shape.key_len, call.shape.key_len);
    return maskerade_cuda_bounds{.tiles_per_tile_row = (keys + 63) / 64, .keys_per_row = keys};
  }
  void select_on_device(const maskerade_cuda_call& call) const {
    maskerade::sink::select_on_device(call, tokens_.value());
  }
#endif

 private:
  sdk::Tokens tokens_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Sink)
