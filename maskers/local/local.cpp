#include "framework/sdk/masker.hpp"
#include "maskers/local/local_device.hpp"

namespace {

namespace sdk = maskerade::sdk;

// Sliding window (Longformer, arXiv 2004.05150): the query's own key and those before it; with
// `side: both`, for attention that is not causal, as many after it.
class Local final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "local",
            .summary = "a window of keys that ends at the query or has it in the middle",
            .reference = "arXiv:2004.05150",
            .depends_on = sdk::kShape,
            .parameters = {
                sdk::tokens("window", "keys, the query's own included").with_default("512"),
                sdk::choice("side", {"past", "both"},
                            "past: the window ends at the query; both: it goes as far beyond it, "
                            "2 * window - 1 keys in all, of which causality hides the later ones")
                    .with_default("past")}};
  }

  explicit Local(const sdk::Arguments& arguments)
      : window_(arguments.tokens("window")), both_sides_(arguments.choice("side") == "both") {}

  void select_row(const sdk::Row& row) const override {
    const auto [begin, end] =
        maskerade::local::window_at(row.position(), row.resolve(window_), both_sides_);
    row.add_range(begin, end);
  }

#ifdef MASKERADE_WITH_CUDA
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call& call) const {
    const std::int64_t most = call.shape.key_len;
    const std::int64_t keys = window_.of(most, most);
    // From the first key of the earliest query's window to the last one of the latest query's.
    std::int64_t tiles = 0;
    for (std::int64_t first = 0; first < call.shape.query_len; first += 64) {
      const std::int64_t last = std::min(first + 64, call.shape.query_len);
      const auto [earliest, latest] =
          std::minmax_element(call.positions + first, call.positions + last);
      const std::int64_t begin = maskerade::local::window_at(*earliest, keys, both_sides_).begin;
      const std::int64_t end = maskerade::local::window_at(*latest, keys, both_sides_).end;
      const std::int64_t first_key = std::clamp<std::int64_t>(begin, 0, most - 1);
      const std::int64_t last_key = std::clamp<std::int64_t>(end - 1, 0, most - 1);
      tiles = std::max(tiles, last_key / 64 - first_key / 64 + 1);
    }
    const maskerade::local::Window any = maskerade::local::window_at(0, keys, both_sides_);
    return maskerade_cuda_bounds{.tiles_per_tile_row = tiles, .keys_per_row = any.end - any.begin};
  }
  void select_on_device(const maskerade_cuda_call& call) const {
    maskerade::local::select_on_device(call, window_.value(), both_sides_);
  }
#endif

 private:
  sdk::Tokens window_;
  bool both_sides_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Local)
