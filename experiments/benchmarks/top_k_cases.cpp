#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "experiments/benchmarks/function_work.hpp"
#include "experiments/benchmarks/random_values.hpp"
#include "experiments/benchmarks/tables.hpp"
#include "framework/select/top_k.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kRows = 32;

// Selects the `count` highest of the scores of `keys` keys in each row.
struct TopKState {
  std::int64_t keys;
  std::int64_t count;
  Threads threads;
  std::vector<float> scores;                        // [kRows][keys]
  std::vector<TopK> top_k;                          // one for each thread
  std::vector<std::vector<std::int32_t>> selected;  // the keys of each row, ascending

  std::span<const float> row(std::int64_t r) const {
    return std::span(scores).subspan(static_cast<std::size_t>(r * keys),
                                     static_cast<std::size_t>(keys));
  }
  void select() {
    threads.for_each(kRows, [this](std::int64_t r, int worker) {
      const auto indices = top_k[static_cast<std::size_t>(worker)].select(row(r), {}, count);
      selected[static_cast<std::size_t>(r)].assign(indices.begin(), indices.end());
    });
  }
  void check() const {
    for (std::int64_t r = 0; r < kRows; ++r) {
      std::vector<std::int32_t> order(static_cast<std::size_t>(keys));
      std::iota(order.begin(), order.end(), 0);
      const auto values = row(r);
      std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return values[static_cast<std::size_t>(a)] > values[static_cast<std::size_t>(b)];
      });
      order.resize(static_cast<std::size_t>(count));
      std::sort(order.begin(), order.end());
      require(order == selected[static_cast<std::size_t>(r)],
              fmt::format("row {} has other keys than sorting the scores gives", r));
    }
  }
};

}  // namespace

// Top-k selection alone: from scores to indices.
std::vector<BenchmarkCase> top_k_cases(Scale scale) {
  struct Size {
    std::int64_t keys;
    std::int64_t count;
  };
  std::vector<BenchmarkCase> cases;
  for (const Size size :
       {Size{32768, 655}, {32768, 64}, {4096, 2048}, {4096, 64}, {2048, 64}, {131072, 64}}) {
    const std::int64_t keys = scale == Scale::kFull ? size.keys : size.keys / 16;
    const std::int64_t count = scale == Scale::kFull ? size.count : size.count / 16;
    cases.push_back(
        {fmt::format("top_k/rows={}/keys={}/k={}", kRows, size.keys, size.count),
         [=](const BenchmarkContext&, const Threads& threads) {
           const auto state = std::make_shared<TopKState>(TopKState{
               keys, count, threads, random_floats(1, static_cast<std::size_t>(kRows * keys)),
               std::vector<TopK>(static_cast<std::size_t>(threads.count())),
               std::vector<std::vector<std::int32_t>>(kRows)});
           const double items = static_cast<double>(kRows * keys);
           return function_work({.run = [state] { state->select(); },
                                 .check = [state] { state->check(); },
                                 .counts = [=]() -> WorkCounts {
                                   return {.bytes = items * sizeof(float), .items = items};
                                 }});
         }});
  }
  return cases;
}

}  // namespace maskerade
