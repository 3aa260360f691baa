// Tests on the CPU how device code reads a mask.

#include "framework/mask/cuda/mask_view.hpp"

#include <algorithm>

#include "tests/attention/cuda/host_plan.hpp"
#include "tests/framework/mask/naive_mask.hpp"

namespace maskerade::cuda {
namespace {

using maskerade::testing::Kind;

RC_GTEST_PROP(MaskView, FindsEveryWordAndProbability, ()) {
  const Visibility visibility = maskerade::testing::random_visibility();
  const MaskExtent extent = maskerade::testing::random_extent();
  const Kind kind = maskerade::testing::draw(0, 1) == 0 ? Kind::kBits : Kind::kSampled;
  const Mask mask = maskerade::testing::random_mask(visibility, extent, kind);
  const std::vector<float> dense = to_dense(mask);
  const HostMask host(mask);
  std::size_t at = 0;
  for (std::int64_t slice = 0; slice < host.view.slices(); ++slice) {
    for (std::int64_t query = 0; query < mask.query_len(); ++query) {
      for (std::int64_t tile = 0; tile < host.view.tiles(); ++tile) {
        std::uint64_t bits = 0;
        std::uint64_t support = 0;
        const std::int64_t keys = std::min<std::int64_t>(64, mask.key_len() - tile * 64);
        for (std::int64_t j = 0; j < keys; ++j, ++at) {
          bits |= std::uint64_t{dense[at] == 1.0F} << j;
          support |= std::uint64_t{dense[at] > 0.0F} << j;
          if (mask.has_sampled() && dense[at] > 0) {
            RC_ASSERT(host.view.sampled_probability(slice, query, tile * 64 + j) == dense[at]);
          }
        }
        RC_ASSERT(host.view.word(slice, query, tile) == bits);
        RC_ASSERT(host.view.support_word(slice, query, tile) == support);
      }
    }
  }
}

}  // namespace
}  // namespace maskerade::cuda
