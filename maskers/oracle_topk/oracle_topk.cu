#include "framework/sdk/masker.cuh"
#include "maskers/oracle_topk/oracle_topk_device.hpp"

namespace maskerade::oracle_topk {
namespace {

namespace device = maskerade::sdk::device;

constexpr std::int64_t kMostScores = std::int64_t{1} << 26;

// For each set of query heads that share one choice of keys (`share`): scores every head, pools the
// scores by their sum or maximum, and adds the best keys to the mask of each. Takes as many queries
// at once as scratch memory for kMostScores scores allows.
void select_pooled(const maskerade_cuda_call& call,
                   const DeviceOptions& options,
                   const std::int64_t* budgets) {
  const std::int64_t queries = call.shape.query_len;
  const std::int64_t stride = (call.shape.key_len + 63) / 64 * 64;
  const std::int64_t together = options.together;
  const std::int64_t most =
      device::smaller(queries, device::larger<std::int64_t>(kMostScores / (stride * together), 1));
  auto* const scores = device::allocate<float>(call, together * most * stride);
  for (std::int64_t set = 0; set < call.shape.batch * call.shape.query_heads; set += together) {
    for (std::int64_t first = 0; first < queries; first += most) {
      const std::int64_t count = device::smaller(most, queries - first);
      const auto for_each_head = [&](const auto& body) {
        for (std::int64_t head = 0; head < together; ++head) {
          const std::int64_t row = (set + head) * queries + first;
          device::require_ok(body(row, scores + head * count * stride));
        }
      };
      for_each_head([&](std::int64_t row, float* of_head) {
        return call.services->score_rows(&call, row, row + count, of_head, stride);
      });
      device::pool_scores(call, scores, together, together, count, stride, call.shape.key_len,
                          options.sum);
      for_each_head([&](std::int64_t row, const float* of_head) {
        return call.services->add_top_scores(&call, row, row + count, of_head, stride,
                                             budgets + row);
      });
    }
  }
}

}  // namespace

void select_on_device(const maskerade_cuda_call& call, const DeviceOptions& options) {
  const std::int64_t* const budgets =
      device::resolve_budgets(call, options.budget, options.is_total);
  if (options.together > 1) return select_pooled(call, options, budgets);
  device::require_ok(call.services->add_top_products(&call, budgets));
}

}  // namespace maskerade::oracle_topk
