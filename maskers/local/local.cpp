#include "framework/sdk/masker.hpp"
#include "maskers/local/local_device.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Sliding window (Longformer, arXiv 2004.05150): the query's own key and those before it.
class Local final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "local",
            .summary = "a window of keys that ends at the query",
            .reference = "arXiv:2004.05150",
            .depends_on = sdk::kShape,
            .parameters = {
                sdk::tokens("window", "keys, the query's own included").with_default("512")}};
  }

  explicit Local(const sdk::Arguments& arguments) : window_(arguments.tokens("window")) {}

  void select_row(const sdk::Row& row) const override {
    const std::int64_t end = row.position() + 1;
    row.add_range(end - row.resolve(window_), end);
  }

#ifdef MASKERADE_WITH_CUDA
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call& call) const {
    const std::int64_t keys = window_.of(call.shape.key_len, call.shape.key_len);
    // From the first key of the earliest query's window to the latest query.
    std::int64_t tiles = 0;
    for (std::int64_t first = 0; first < call.shape.query_len; first += 64) {
      const std::int64_t last = std::min(first + 64, call.shape.query_len);
      const auto [earliest, latest] =
          std::minmax_element(call.positions + first, call.positions + last);
      const std::int64_t begin = std::max<std::int64_t>(*earliest + 1 - keys, 0);
      tiles = std::max(tiles, std::max<std::int64_t>(*latest, 0) / 64 - begin / 64 + 1);
    }
    return maskerade_cuda_bounds{.tiles_per_tile_row = tiles, .keys_per_row = keys};
  }
  void select_on_device(const maskerade_cuda_call& call) const {
    maskerade::local::select_on_device(call, window_.value());
  }
#endif

 private:
  sdk::Tokens window_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Local)
