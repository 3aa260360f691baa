// A masker that gets whole calls: for what the other bases do not fit. Change what select() adds,
// and grain(): which rows and heads a call must hold together. Where else a call begins and ends
// must not matter: the host cuts the work as it likes.
#include "framework/sdk/masker.hpp"
#include "framework/sdk/row_scores.hpp"

namespace {

namespace sdk = maskerade::sdk;

class MyWholeMasker final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    return {.id = "my_whole_masker",
            .summary = "a template: every head of a kv group nominates keys for all of them",
            .depends_on = sdk::kShape | sdk::kQuery | sdk::kKey,
            .parameters = {sdk::count("votes", "keys that a head nominates, its best by q.k")
                               .with_default("8")
                               .at_least(1)}};
  }

  explicit MyWholeMasker(const sdk::Arguments& arguments) : votes_(arguments.count("votes")) {}

  maskerade_grain grain() const override { return {1, MASKERADE_HEADS_GROUP}; }

  void select(const maskerade_call& call) const override {
    const sdk::Span heads{call.head_begin, call.head_end};
    const sdk::Span queries{call.query_begin, call.query_end};
    sdk::score_queries(call, heads, queries, [&](const sdk::QueryScores& query) {
      for (std::int64_t voter = heads.begin; voter < heads.end; ++voter) {
        const auto keys = query.row(voter).top_indices(query.of(voter), votes_);
        for (std::int64_t head = heads.begin; head < heads.end; ++head) {
          query.row(head).add_keys(keys);
        }
      }
    });
  }

 private:
  std::int64_t votes_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(MyWholeMasker)
