#include "framework/sdk/masker.hpp"

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

  // Rows with as many keys are written together.
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

 private:
  sdk::Tokens tokens_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Sink)
