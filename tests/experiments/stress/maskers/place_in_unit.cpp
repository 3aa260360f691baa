#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Tells heads apart without asking for their numbers: only the first row of a unit gets a key.
class PlaceInUnit final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "place_in_unit",
            .summary = "a key by the place of the head in its unit",
            .depends_on = sdk::kShape | sdk::kQuery};
  }
  explicit PlaceInUnit(const sdk::Arguments&) {}
  maskerade_grain grain() const override { return {1, MASKERADE_HEADS_ALL}; }
  void select_row(const sdk::Row& row) const override {
    const std::int64_t queries = row.call().query_end - row.call().query_begin;
    if (row.number() < queries) row.add_key(0);
  }
};

}  // namespace

MASKERADE_EXPORT_MASKER(PlaceInUnit)
