#include "framework/sdk/masker.cuh"
#include "strided_device.hpp"

namespace strided {
namespace {

namespace device = maskerade::sdk::device;

struct EveryStride {
  std::int64_t stride;
  std::int64_t offset;

  MASKERADE_KERNEL std::uint64_t operator()(const device::Rows&,
                                            const device::MaskRow&,
                                            std::int64_t word) const {
    const std::int64_t first = word * 64;
    const std::int64_t before = first <= offset ? 0 : (first - offset + stride - 1) / stride;
    std::uint64_t keys = 0;
    for (std::int64_t key = offset + before * stride; key < first + 64; key += stride) {
      keys |= std::uint64_t{1} << (key - first);
    }
    return keys;
  }
};

}  // namespace

void select_on_device(const maskerade_cuda_call& call, std::int64_t stride, std::int64_t offset) {
  device::add_words(call, EveryStride{stride, offset});
}

}  // namespace strided
