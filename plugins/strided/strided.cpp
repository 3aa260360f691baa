#include "framework/sdk/masker.hpp"
#include "strided_device.hpp"

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

#ifdef MASKERADE_WITH_CUDA
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call& call) const {
    const std::int64_t keys = call.shape.key_len / stride_ + 1;
    return maskerade_cuda_bounds{.tiles_per_tile_row = keys, .keys_per_row = keys};
  }
  void select_on_device(const maskerade_cuda_call& call) const {
    strided::select_on_device(call, stride_, offset_);
  }
#endif

 private:
  std::int64_t stride_;
  std::int64_t offset_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Strided)
