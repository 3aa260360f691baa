#include "framework/sdk/masker.cuh"
#include "maskers/local/local_device.hpp"

namespace maskerade::local {
namespace {

namespace device = maskerade::sdk::device;

struct LastKeys {
  maskerade_value window;

  MASKERADE_KERNEL std::uint64_t operator()(const device::Rows& rows,
                                            const device::MaskRow& at,
                                            std::int64_t word) const {
    const std::int64_t end = rows.positions[at.query] + 1;
    const std::int64_t keys =
        maskerade_tokens_of(&window, rows.key_len, rows.visible_len(at.query));
    return device::range_bits(end - keys, end, word);
  }
};

}  // namespace

void select_on_device(const maskerade_cuda_call& call, const maskerade_value& window) {
  device::add_words(call, LastKeys{window});
}

}  // namespace maskerade::local
