#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Keeps nothing but the number of its keys, and refuses to have more, or fewer, than it is told.
class StubbornIndex final : public sdk::RowMasker {
 public:
  struct Index {
    std::int64_t keys = 0;
  };
  static constexpr bool kIndexSpansFuture = false;

  static sdk::Description describe() {
    return {
        .id = "stubborn_index",
        .summary = "an index that does not grow or shrink",
        .depends_on = sdk::kKey,
        .parameters = {sdk::count("most", "keys at most"), sdk::count("least", "keys at least")}};
  }
  explicit StubbornIndex(const sdk::Arguments& arguments)
      : most_(arguments.count("most")), least_(arguments.count("least")) {}

  void select_row(const sdk::Row& row) const override { row.add_key(row.index<Index>().keys - 1); }
  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    return std::make_unique<Index>(Index{span.key_end});
  }
  void append(Index& index, const maskerade_key_span& span) const {
    if (span.key_begin != index.keys) throw std::runtime_error("keys are missing");
    if (span.key_end > most_) throw std::runtime_error("there is no room for another key");
    index.keys = span.key_end;
  }
  void truncate(Index& index, std::int64_t key_end) const {
    if (key_end < least_) throw std::runtime_error("it cannot forget");
    index.keys = key_end;
  }
  std::size_t size_bytes(const Index&) const { return sizeof(Index); }

 private:
  std::int64_t most_;
  std::int64_t least_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(StubbornIndex)
