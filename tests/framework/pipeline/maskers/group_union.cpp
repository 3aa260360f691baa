#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Gives every head of a kv group what any of them has active.
class GroupUnion final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    return {.id = "group_union",
            .summary = "what any head of the group has",
            .depends_on = sdk::kShape | sdk::kHead | sdk::kActive};
  }
  explicit GroupUnion(const sdk::Arguments&) {}

  maskerade_grain grain() const override { return {1, MASKERADE_HEADS_GROUP}; }

  void select(const maskerade_call& call) const override {
    const std::int64_t queries = call.query_end - call.query_begin;
    for (std::int64_t query = 0; query < queries; ++query) {
      std::vector<std::uint64_t> any(static_cast<std::size_t>((call.shape.key_len + 63) / 64));
      for (std::int64_t row = query; row < sdk::row_count(call); row += queries) {
        const std::vector<std::uint64_t> bits = sdk::Row(call, row).active_bits();
        for (std::size_t word = 0; word < any.size(); ++word) any[word] |= bits[word];
      }
      for (std::int64_t key = 0; key < call.shape.key_len; ++key) {
        if ((any[static_cast<std::size_t>(key / 64)] >> (key % 64) & 1U) == 0) continue;
        for (std::int64_t row = query; row < sdk::row_count(call); row += queries) {
          sdk::Row(call, row).add_key(key);
        }
      }
    }
  }
};

}  // namespace

MASKERADE_EXPORT_MASKER(GroupUnion)
