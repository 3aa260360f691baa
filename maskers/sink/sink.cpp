#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Attention sinks (StreamingLLM, arXiv 2309.17453): the first keys of the sequence.
class Sink final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "sink",
            .summary = "the first keys of the sequence",
            .reference = "arXiv:2309.17453",
            .depends_on = sdk::kShape,
            .parameters = {sdk::tokens("tokens", "keys from the start").with_default("128")}};
  }

  explicit Sink(const sdk::Arguments& arguments) : tokens_(arguments.tokens("tokens")) {}

  void select_row(const sdk::Row& row) const override { row.add_range(0, row.resolve(tokens_)); }

 private:
  sdk::Tokens tokens_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Sink)
