#include "framework/sdk/masker.cuh"
#include "maskers/quest/quest_device.hpp"

namespace maskerade::quest {
namespace {

namespace device = maskerade::sdk::device;
namespace sdk = maskerade::sdk;

constexpr std::int64_t kMostScores = std::int64_t{1} << 26;

// Queries [first, first + count) of all heads and batch entries. Each is a list of pages; its
// number is (batch * heads + head) * count + query - first.
struct Part {
  maskerade_cuda_rows rows;
  std::int64_t first;
  std::int64_t count;

  MASKERADE_KERNEL std::int64_t lists() const { return rows.batch * rows.heads * count; }
  MASKERADE_KERNEL device::MaskRow row_of(std::int64_t list) const {
    return device::Rows(rows).row_at(list / count * rows.query_len + first + list % count);
  }
};

// Splits each component q of each list's query into (min(q, 0), max(q, 0)).
struct FindSigns {
  Part part;
  maskerade_cuda_tensor q;
  std::int64_t dim;
  float* signs;

  MASKERADE_KERNEL void operator()(std::int64_t i) const {
    const device::MaskRow at = part.row_of(i / dim);
    const float value = device::Tensor(q).load(at.batch, at.head, at.query, i % dim);
    signs[2 * i] = device::smaller(value, 0.0F);
    signs[2 * i + 1] = device::larger(value, 0.0F);
  }
};

// Counts the pages that each list sees and how many it takes.
struct FindCounts {
  Part part;
  DeviceOptions options;
  const std::int64_t* budgets;      // [row]
  const std::uint8_t* reaches_all;  // [row]
  std::int64_t* lengths;
  std::int64_t* counts;

  MASKERADE_KERNEL void operator()(std::int64_t list) const {
    const device::MaskRow at = part.row_of(list);
    const std::int64_t visible = device::Rows(part.rows).visible_len(at.query);
    lengths[list] = (visible + options.page - 1) / options.page;
    counts[list] = sdk::pieces_of_budget(budgets[at.row], reaches_all[at.row] != 0, options.page,
                                         options.min_pages, lengths[list]);
  }
};

// Adds the keys of the pages that each list takes.
struct AddPages {
  Part part;
  std::int64_t page;
  std::int64_t page_words;
  const std::uint64_t* taken;  // [list][page_words]

  MASKERADE_KERNEL void operator()(std::int64_t i) const {
    const device::Rows rows(part.rows);
    const std::int64_t list = i / rows.words;
    const std::int64_t word = i % rows.words;
    const device::MaskRow at = part.row_of(list);
    const std::int64_t end = device::smaller(word * 64 + 64, rows.visible_len(at.query));
    std::uint64_t keys = 0;
    for (std::int64_t number = word * 64 / page; number * page < end; ++number) {
      const std::uint64_t bits = taken[list * page_words + number / 64];
      if ((bits >> (number % 64) & 1U) == 0) continue;
      keys |= device::range_bits(number * page, (number + 1) * page, word);
    }
    rows.add_word(at, word, keys);
  }
};

}  // namespace

void select_on_device(const maskerade_cuda_call& call, const DeviceOptions& options) {
  const maskerade_shape& shape = call.shape;
  const std::int64_t heads = shape.batch * shape.query_heads;
  const std::int64_t group = shape.query_heads / shape.kv_heads;
  const std::int64_t pages = (shape.key_len + options.page - 1) / options.page;
  const std::int64_t page_words = (pages + 63) / 64;
  const std::int64_t stride = page_words * 64;
  const std::int64_t width = 2 * shape.head_dim;
  const std::int64_t most = device::smaller(
      shape.query_len, device::larger<std::int64_t>(kMostScores / (stride * heads), 1));
  const std::int64_t* const budgets =
      device::resolve_budgets(call, options.budget, options.is_total);
  const std::uint8_t* const reaches_all =
      device::find_reach(call, options.budget, options.is_total);
  auto* const signs = device::allocate<float>(call, heads * most * width);
  auto* const scores = device::allocate<float>(call, heads * most * stride);
  auto* const lengths = device::allocate<std::int64_t>(call, heads * most);
  auto* const counts = device::allocate<std::int64_t>(call, heads * most);
  auto* const taken = device::allocate<std::uint64_t>(call, heads * most * page_words);
  constexpr auto kFloatBytes = static_cast<std::int64_t>(sizeof(float));
  for (std::int64_t first = 0; first < shape.query_len; first += most) {
    const Part part{call.rows, first, device::smaller(most, shape.query_len - first)};
    device::for_each(call, part.lists() * shape.head_dim,
                     FindSigns{part, call.q, shape.head_dim, signs});
    device::require_ok(call.services->multiply_rows(
        &call, signs, part.lists(), group * part.count, static_cast<const float*>(call.indexes),
        call.index_stride / kFloatBytes, width, pages, width, scores, stride));
    device::pool_scores(call, scores, heads, options.together, part.count, stride, pages,
                        options.sum);
    device::for_each(call, part.lists(),
                     FindCounts{part, options, budgets, reaches_all, lengths, counts});
    device::require_ok(call.services->top_bits(&call, part.lists(), scores, stride, lengths, counts,
                                               nullptr, taken, page_words));
    device::for_each(call, part.lists() * call.rows.words,
                     AddPages{part, options.page, page_words, taken});
    call.services->count_work(&call, part.lists() * pages,
                              shape.batch * shape.kv_heads * pages * width * kFloatBytes);
  }
}

}  // namespace maskerade::quest
