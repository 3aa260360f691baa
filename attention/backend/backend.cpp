#include "attention/backend/backend.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace maskerade {

std::string kernel_mix(const std::vector<KernelShare>& shares) {
  std::vector<KernelShare> uses;
  std::int64_t all = 0;
  for (const KernelShare& share : shares) {
    const auto same = std::find_if(uses.begin(), uses.end(), [&](const KernelShare& use) {
      return use.kernel == share.kernel;
    });
    if (same == uses.end()) {
      uses.push_back(share);
    } else {
      same->row_blocks += share.row_blocks;
    }
    all += share.row_blocks;
  }
  std::stable_sort(uses.begin(), uses.end(), [](const KernelShare& a, const KernelShare& b) {
    return a.row_blocks > b.row_blocks;
  });
  if (all == 0) return "";
  if (uses.front().row_blocks == all) return uses.front().kernel;
  std::string mix;
  for (const KernelShare& use : uses) {
    if (use.row_blocks == 0) continue;
    const double percent = 100.0 * static_cast<double>(use.row_blocks) / static_cast<double>(all);
    mix += fmt::format("{}{} {}", mix.empty() ? "" : ", ", use.kernel,
                       percent < 1    ? "<1%"
                       : percent > 99 ? ">99%"
                                      : fmt::format("{:.0f}%", percent));
  }
  return mix;
}

void check_fit(const Mask& mask, const AttentionShape& shape) {
  shape.validate();
  const MaskExtent extent = mask.extent();
  if (mask.query_len() != shape.query_len || mask.key_len() != shape.key_len) {
    throw ShapeError(fmt::format("the mask is {} x {}; the shape asks for {} x {}",
                                 mask.query_len(), mask.key_len(), shape.query_len, shape.key_len));
  }
  if (extent.batch != 1 && extent.batch != shape.batch) {
    throw ShapeError(fmt::format("the mask has batch {}; the shape asks for 1 or {}", extent.batch,
                                 shape.batch));
  }
  if (extent.heads != 1 && extent.heads != shape.kv_heads && extent.heads != shape.query_heads) {
    throw ShapeError(fmt::format("the mask has {} heads; the shape asks for 1, {} or {}",
                                 extent.heads, shape.kv_heads, shape.query_heads));
  }
}

}  // namespace maskerade
