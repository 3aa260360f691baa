#include "experiments/measure/calibration.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <limits>
#include <span>
#include <vector>

#include "attention/cpu/attend.hpp"
#include "attention/cpu/cpu_plan.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/tensor/owned_tensor.hpp"

namespace maskerade {
namespace {

constexpr int kRounds = 15;        // how often each trial is timed
constexpr std::size_t kRates = 6;  // members of KernelRates

// A synthetic plan, all of whose row blocks are alike. At decode (one query) the rows of a block
// are query heads of one group; else they are queries of one head.
struct Trial {
  std::int64_t rows;         // of each row block
  std::int64_t keys;         // of each row block; a multiple of 64
  bool is_gathered = false;  // the keys are listed one by one, not in runs
  bool is_masked = false;    // half of the entries are inactive, by bits
};

constexpr std::array<Trial, 7> kManyRowsTrials = {
    {{.rows = 64, .keys = 1024},
     {.rows = 32, .keys = 1024},
     {.rows = 64, .keys = 1024, .is_masked = true},
     {.rows = 32, .keys = 512, .is_gathered = true, .is_masked = true},
     {.rows = 64, .keys = 512, .is_gathered = true, .is_masked = true},
     {.rows = 64, .keys = 64},
     {.rows = 32, .keys = 64}}};
constexpr std::array<Trial, 7> kFewRowsTrials = {
    {{.rows = 1, .keys = 1024},
     {.rows = 4, .keys = 1024},
     {.rows = 16, .keys = 1024},
     {.rows = 4, .keys = 1024, .is_masked = true},
     {.rows = 1, .keys = 256, .is_gathered = true, .is_masked = true},
     {.rows = 16, .keys = 256, .is_gathered = true, .is_masked = true},
     {.rows = 1, .keys = 64}}};
// Rationale: the gathered trials list every second key, because near that density listing the keys
// and reading all of them cost the same, and the choice between them depends on the rates.
constexpr std::array<Trial, 7> kDecodeTrials = {
    {{.rows = 1, .keys = 8192},
     {.rows = 4, .keys = 8192},
     {.rows = 8, .keys = 8192},
     {.rows = 4, .keys = 8192, .is_masked = true},
     {.rows = 1, .keys = 4096, .is_gathered = true, .is_masked = true},
     {.rows = 4, .keys = 4096, .is_gathered = true, .is_masked = true},
     {.rows = 1, .keys = 64}}};

// The members of `rates`, in the order of an Equation's elements.
std::array<double*, kRates> rates_of(KernelRates& rates) {
  return {&rates.row_block, &rates.component,    &rates.gathered_component,
          &rates.entry,     &rates.masked_entry, &rates.product};
}

// One timing as an equation for the rates: how often the trial pays each rate, divided by its time
// in nanoseconds. The sum of these, each times its rate, should be 1.
using Equation = std::array<double, kRates>;

// A tensor [batch, heads, length, head_dim] of random numbers in [-1, 1). Their values do not
// matter, except that denormals would take longer.
Tensor random_tensor(DType dtype,
                     const AttentionShape& shape,
                     std::int64_t heads,
                     std::int64_t length) {
  std::vector<float> values(
      static_cast<std::size_t>(shape.batch * heads * length * shape.head_dim));
  std::uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31F;
  }
  return Tensor::from_floats(dtype, shape.batch, heads, length, shape.head_dim, values.data());
}

// Times trials on random tensors of one shape.
class Bench {
 public:
  Bench(const AttentionShape& shape, DType dtype, const Threads& threads)
      : shape_(shape),
        threads_(threads),
        q_(random_tensor(dtype, shape, shape.query_heads, shape.query_len)),
        k_(random_tensor(dtype, shape, shape.kv_heads, shape.key_len)),
        v_(random_tensor(dtype, shape, shape.kv_heads, shape.key_len)),
        inputs_{.shape = shape,
                .q = q_.view(),
                .k = k_.view(),
                .v = v_.view(),
                .scale = 1 / std::sqrt(static_cast<float>(shape.head_dim)),
                .visibility = Visibility::all(shape.query_len, shape.key_len)} {}

  // Appends one equation for each trial. The trials take turns for kRounds rounds, and each trial's
  // shortest time counts. Rationale: whatever disturbs the machine only makes a time longer.
  void time(std::span<const Trial> trials, std::vector<Equation>& equations) {
    std::vector<CpuPlan> plans;
    for (const Trial& trial : trials) plans.push_back(plan_of(trial));
    std::vector<double> best(trials.size(), std::numeric_limits<double>::infinity());
    AttentionOutput output;
    for (int round = 0; round < kRounds; ++round) {
      for (std::size_t i = 0; i < trials.size(); ++i) {
        const Stopwatch stopwatch;
        attend(inputs_, plans[i], threads_, output);
        best[i] = std::min(best[i], stopwatch.elapsed_ms() * 1e6 * threads_.count());
      }
    }
    for (std::size_t i = 0; i < trials.size(); ++i) {
      equations.push_back(equation_of(trials[i], plans[i], best[i]));
    }
  }

 private:
  Equation equation_of(const Trial& trial, const CpuPlan& plan, double ns) const {
    const auto blocks = static_cast<double>(plan.row_blocks.size());
    const double components = blocks * static_cast<double>(trial.keys * shape_.head_dim);
    const double entries = blocks * static_cast<double>(trial.keys * trial.rows);
    return {blocks / ns,
            (trial.is_gathered ? 0 : components) / ns,
            (trial.is_gathered ? components : 0) / ns,
            entries / ns,
            (trial.is_masked ? entries : 0) / ns,
            entries * static_cast<double>(shape_.head_dim) / ns};
  }

  // The plan of a trial, which covers all queries and kv heads of the shape.
  CpuPlan plan_of(const Trial& trial) const {
    CpuPlan plan;
    plan.shape = shape_;
    const bool is_decode = shape_.query_len == 1;
    const std::int64_t heads = is_decode ? trial.rows : 1;
    const std::int64_t queries = is_decode ? 1 : trial.rows;
    // At decode all row blocks of a group would read the same keys, so the plan has only one of
    // them; but a block of a single tile takes too little time alone, so the plan then has all of
    // them.
    const std::int64_t heads_per_kv =
        is_decode && trial.keys > kTileKeys ? heads : shape_.group_size();
    for (std::int64_t kv = 0; kv < shape_.kv_heads; ++kv) {
      for (std::int64_t h = 0; h < heads_per_kv; h += heads) {
        for (std::int64_t q = 0; q < shape_.query_len; q += queries) {
          RowBlock rows{.kv_head = kv,
                        .first_head = kv * shape_.group_size() + h,
                        .first_query = q,
                        .heads = static_cast<std::int32_t>(heads),
                        .queries = static_cast<std::int32_t>(queries),
                        .blocks_begin = static_cast<std::int64_t>(plan.key_blocks.size())};
          add_keys(trial, plan);
          rows.blocks_end = static_cast<std::int64_t>(plan.key_blocks.size());
          plan.row_blocks.push_back(rows);
        }
      }
    }
    return plan;
  }

  // Appends a row block's key blocks to the plan. Their keys are spread over all of key_len, and
  // half of the bits of a masked trial are set.
  void add_keys(const Trial& trial, CpuPlan& plan) const {
    const std::int64_t tiles = shape_.key_len / kTileKeys;
    const std::int64_t blocks = trial.keys / kTileKeys;
    const std::int64_t spread = shape_.key_len / trial.keys;
    for (std::int64_t b = 0; b < blocks; ++b) {
      KeyBlock block{.first_key = b * tiles / blocks * kTileKeys,
                     .count = static_cast<std::int32_t>(kTileKeys)};
      if (trial.is_gathered) {
        block.list_offset = static_cast<std::int64_t>(plan.key_list.size());
        for (std::int64_t j = 0; j < kTileKeys; ++j) {
          const std::int64_t number = b * kTileKeys + j;
          // Rationale: the hardware prefetches keys at a fixed stride, which real lists do not
          // have.
          const auto jitter = static_cast<std::int64_t>(
              static_cast<std::uint64_t>(number) * 0x9E3779B97F4A7C15U >> 33);
          plan.key_list.push_back(static_cast<std::int32_t>(number * spread + jitter % spread));
        }
      }
      if (trial.is_masked) {
        block.bits_offset = static_cast<std::int64_t>(plan.bits.size());
        for (std::int64_t r = 0; r < trial.rows; ++r) {
          plan.bits.push_back((r % 2 == 0 ? 0x9A9A'9A9A'9A9A'9A9AU : 0x5C5C'5C5C'5C5C'5C5CU));
        }
      }
      plan.key_blocks.push_back(block);
    }
  }

  AttentionShape shape_;
  const Threads& threads_;
  Tensor q_;
  Tensor k_;
  Tensor v_;
  AttentionInputs inputs_;
};

// Returns the rates, none below 0, with the least sum of squared errors of the equations, by
// coordinate descent. Raises worst_fit to the largest error of one equation.
KernelRates fit(const std::vector<Equation>& equations, double& worst_fit) {
  constexpr int kSweeps = 20'000;
  Equation x{};
  std::vector<double> left(equations.size(), 1.0);  // 1 minus each equation's left side
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t j = 0; j < kRates; ++j) {
      double along = 0;
      double square = 0;
      for (std::size_t i = 0; i < equations.size(); ++i) {
        along += equations[i][j] * left[i];
        square += equations[i][j] * equations[i][j];
      }
      if (square == 0) continue;
      const double step = std::max(-x[j], along / square);
      x[j] += step;
      for (std::size_t i = 0; i < equations.size(); ++i) left[i] -= equations[i][j] * step;
    }
  }
  for (const double error : left) worst_fit = std::max(worst_fit, std::abs(error));
  KernelRates rates;
  const auto fields = rates_of(rates);
  for (std::size_t j = 0; j < kRates; ++j) *fields[j] = x[j];
  return rates;
}

// Fits the rates of one dtype to trials on `shape` with head_dim 64 and 128.
template <std::size_t kTrials>
KernelRates measure(AttentionShape shape,
                    const std::array<Trial, kTrials>& trials,
                    DType dtype,
                    const Threads& threads,
                    double& worst_fit) {
  std::vector<Equation> equations;
  for (const std::int64_t head_dim : {64, 128}) {
    shape.head_dim = head_dim;
    Bench bench(shape, dtype, threads);
    bench.time(trials, equations);
  }
  return fit(equations, worst_fit);
}

}  // namespace

Calibration calibrate(const Threads& threads, const std::string& when) {
  Calibration calibration;
  calibration.threads = threads.count();
  calibration.costs.origin = "calibrated " + when;
  // As many heads as threads keep all threads busy; not more than 32, to bound the memory.
  const std::int64_t heads = std::clamp<std::int64_t>(threads.count(), 4, 32);
  const AttentionShape many{
      .query_heads = heads, .kv_heads = heads, .query_len = 256, .key_len = 1024};
  AttentionShape few = many;
  few.query_len = 64;
  const AttentionShape decode{.query_heads = 8 * heads, .kv_heads = heads, .key_len = 8192};
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    calibration.costs.of(dtype) = {
        measure(decode, kDecodeTrials, dtype, threads, calibration.worst_fit),
        measure(few, kFewRowsTrials, dtype, threads, calibration.worst_fit),
        measure(many, kManyRowsTrials, dtype, threads, calibration.worst_fit)};
  }
  return calibration;
}

std::string calibration_time() {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(std::time(nullptr)));
}

}  // namespace maskerade
