#include <fstream>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Selects the first keys, as many as a file says.
class CountFromFile final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "count_from_file",
            .summary = "as many first keys as a file says",
            .depends_on = sdk::kShape,
            .parameters = {sdk::file("table", "holds the number")}};
  }
  explicit CountFromFile(const sdk::Arguments& arguments) {
    std::ifstream(arguments.file("table")) >> count_;
  }

  void select_row(const sdk::Row& row) const override {
    for (std::int64_t key = 0; key < count_; ++key) row.add_key(key);
  }

 private:
  std::int64_t count_ = 0;
};

}  // namespace

MASKERADE_EXPORT_MASKER(CountFromFile)
