#include "framework/sdk/exact_share.hpp"
#include "framework/sdk/masker.cuh"
#include "maskers/random_sampling/random_sampling_device.hpp"

namespace maskerade::random_sampling {
namespace {

namespace device = maskerade::sdk::device;
namespace sdk = maskerade::sdk;

// Finds the range of each row's candidates.
struct FindRange {
  maskerade_cuda_rows of;
  DeviceOptions options;
  std::int64_t* begins;
  std::int64_t* ends;

  MASKERADE_KERNEL void operator()(std::int64_t row) const {
    const device::Rows rows(of);
    const std::int64_t visible = rows.visible_len(rows.row_at(row).query);
    const std::int64_t begin = device::smaller(
        maskerade_tokens_of(&options.init_offset, rows.key_len, visible), rows.key_len);
    begins[row] = begin;
    ends[row] = device::larger(
        begin, rows.key_len - maskerade_tokens_of(&options.local_offset, rows.key_len, visible));
  }
};

// Finds how many candidates a row draws, and with which probability each is drawn.
struct FindDraws {
  DeviceOptions options;
  std::int64_t* counts;  // before: the candidates; after: the draws
  float* probabilities;

  MASKERADE_KERNEL void operator()(std::int64_t row) const {
    const std::int64_t candidates = counts[row];
    probabilities[row] = 1;
    if (candidates == 0) return;
    counts[row] = device::larger<std::int64_t>(1, options.rate * candidates / sdk::kHundredPercent);
    probabilities[row] = static_cast<float>(counts[row]) / static_cast<float>(candidates);
  }
};

}  // namespace

void select_on_device(const maskerade_cuda_call& call, const DeviceOptions& options) {
  const std::int64_t rows = device::Rows(call.rows).count();
  auto* const begins = device::allocate<std::int64_t>(call, rows);
  auto* const ends = device::allocate<std::int64_t>(call, rows);
  auto* const counts = device::allocate<std::int64_t>(call, rows);
  auto* const probabilities = device::allocate<float>(call, rows);
  device::for_each(call, rows, FindRange{call.rows, options, begins, ends});
  device::require_ok(call.services->count_inactive(&call, begins, ends, counts));
  device::for_each(call, rows, FindDraws{options, counts, probabilities});
  device::require_ok(call.services->draw(&call, 0, begins, ends, counts, probabilities));
}

}  // namespace maskerade::random_sampling
