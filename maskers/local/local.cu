#include "framework/sdk/masker.cuh"
#include "maskers/local/local_device.hpp"

namespace maskerade::local {
namespace {

namespace device = maskerade::sdk::device;

struct WindowKeys {
  maskerade_value window;
  bool both_sides;

  MASKERADE_KERNEL std::uint64_t operator()(const device::Rows& rows,
                                            const device::MaskRow& at,
                                            std::int64_t word) const {
    const std::int64_t keys =
        maskerade_tokens_of(&window, rows.key_len, rows.visible_len(at.query));
    const Window range = window_at(rows.positions[at.query], keys, both_sides);
    return device::range_bits(range.begin, range.end, word);
  }
};

}  // namespace

void select_on_device(const maskerade_cuda_call& call,
                      const maskerade_value& window,
                      bool both_sides) {
  device::add_words(call, WindowKeys{window, both_sides});
}

}  // namespace maskerade::local
