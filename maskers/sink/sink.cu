#include "framework/sdk/masker.cuh"
#include "maskers/sink/sink_device.hpp"

namespace maskerade::sink {
namespace {

namespace device = maskerade::sdk::device;

struct FirstKeys {
  maskerade_value tokens;

  MASKERADE_KERNEL std::uint64_t operator()(const device::Rows& rows,
                                            const device::MaskRow& at,
                                            std::int64_t word) const {
    const std::int64_t keys =
        maskerade_tokens_of(&tokens, rows.key_len, rows.visible_len(at.query));
    return device::range_bits(0, keys, word);
  }
};

}  // namespace

void select_on_device(const maskerade_cuda_call& call, const maskerade_value& tokens) {
  device::add_words(call, FirstKeys{tokens});
}

}  // namespace maskerade::sink
