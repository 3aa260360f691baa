#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// The strided pattern of the Sparse Transformer: every stride-th key of the sequence.
class Strided final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {
        .id = "strided",
        .summary = "every stride-th key",
        .reference = "arXiv:1904.10509",
        .depends_on = sdk::kShape,
        .parameters = {sdk::count("stride", "distance between keys").with_default("64").at_least(1),
                       sdk::count("offset", "the first key").with_default("0")}};
  }

  explicit Strided(const sdk::Arguments& arguments)
      : stride_(arguments.count("stride")), offset_(arguments.count("offset")) {}

  void select_row(const sdk::Row& row) const override {
    std::vector<std::int32_t> keys;
    for (std::int64_t key = offset_; key < row.visible_len(); key += stride_) {
      keys.push_back(static_cast<std::int32_t>(key));
    }
    row.add_keys(keys);
  }

 private:
  std::int64_t stride_;
  std::int64_t offset_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Strided)
