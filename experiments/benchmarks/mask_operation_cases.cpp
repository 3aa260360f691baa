#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/benchmarks/attention_work.hpp"
#include "experiments/benchmarks/function_work.hpp"
#include "experiments/benchmarks/random_masks.hpp"
#include "experiments/benchmarks/random_values.hpp"
#include "experiments/benchmarks/tables.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/published/published_operations.hpp"
#include "framework/mask/set_operations.hpp"

namespace maskerade {
namespace {

using Operation = void (*)(const PublishedMask&,
                           std::span<const float>,
                           std::span<float>,
                           const PublishedRules&,
                           const Threads&);

// The operands and results of the published operations.
struct OperationState {
  std::vector<float> weights;          // of `mask`, [heads, key_len]
  std::vector<float> partner_weights;  // of `partner`, [heads, key_len]
  std::vector<float> x;                // what a mask is applied to, [heads, key_len]
  PublishedMask mask;
  PublishedMask partner;       // what `mask` is merged with
  std::vector<float> applied;  // the result of applying, [heads, key_len]
  PublishedMask merged;        // the result of merging or of converting from indices
  PublishedEntries entries;    // the result of converting to indices
};

std::shared_ptr<OperationState> operation_state(const MaskSize& size, double density) {
  const PublishedShape shape{1, size.heads, 1, size.key_len};
  auto weights = random_mask_weights(size, density, false, 42);
  auto partner = random_mask_weights(size, partner_density(density), false, 43);
  PublishedMask mask = PublishedMask::from_dense(shape, weights);
  PublishedMask partner_mask = PublishedMask::from_dense(shape, partner);
  return std::make_shared<OperationState>(
      OperationState{std::move(weights),
                     std::move(partner),
                     random_floats(44, static_cast<std::size_t>(size.entries())),
                     std::move(mask),
                     std::move(partner_mask),
                     {},
                     PublishedMask::flagged_empty(shape),
                     {}});
}

std::unique_ptr<BenchmarkWork> apply_work(const MaskSize& size,
                                          double density,
                                          Operation apply,
                                          const Threads& threads) {
  const auto state = operation_state(size, density);
  const auto entries = static_cast<double>(size.entries());
  state->applied.resize(state->x.size());
  return function_work({.run = [=] { apply(state->mask, state->x, state->applied, {}, threads); },
                        .check =
                            [state] {
                              // All weights are 0 or 1. Entries of weight 0 become 0 in both
                              // operations, the inverse one too, so that one check serves both.
                              for (std::size_t i = 0; i < state->x.size(); ++i) {
                                require(state->applied[i] ==
                                            (state->weights[i] == 1 ? state->x[i] : 0.0F),
                                        fmt::format("entry {} is {}", i, state->applied[i]));
                              }
                            },
                        .counts = [=]() -> WorkCounts {
                          return {.bytes = 12 * entries, .items = entries, .density = density};
                        }});
}

std::unique_ptr<BenchmarkWork> merge_work(const MaskSize& size, double density, const Threads&) {
  const auto state = operation_state(size, density);
  const auto entries = static_cast<double>(size.entries());
  return function_work({.run = [state] { state->merged = merge(state->mask, state->partner); },
                        .check =
                            [state] {
                              for (std::size_t i = 0; i < state->weights.size(); ++i) {
                                const float sum = state->weights[i] + state->partner_weights[i];
                                require(state->merged.weight(static_cast<std::int64_t>(i)) ==
                                            std::min(sum, 1.0F),
                                        fmt::format("entry {} is not min(p + p', 1)", i));
                              }
                            },
                        .counts = [=]() -> WorkCounts {
                          return {.bytes = 12 * entries, .items = entries, .density = density};
                        }});
}

// Converts a mask from its dense form to indices and weights. The published code has a mode for
// each of these forms.
std::unique_ptr<BenchmarkWork> to_indices_work(const MaskSize& size,
                                               double density,
                                               const Threads&) {
  const auto state = operation_state(size, density);
  return function_work({.run = [state] { state->entries = state->mask.to_indices(); },
                        .check =
                            [state] {
                              std::vector<std::int64_t> indices;
                              for (std::size_t i = 0; i < state->weights.size(); ++i) {
                                if (state->weights[i] > 0)
                                  indices.push_back(static_cast<std::int64_t>(i));
                              }
                              require(indices == state->entries.indices,
                                      "the indices are not those of a loop");
                            },
                        .counts = [=]() -> WorkCounts {
                          return {.items = static_cast<double>(size.entries()), .density = density};
                        }});
}

// Converts a mask from indices and weights to its dense form.
std::unique_ptr<BenchmarkWork> from_indices_work(const MaskSize& size,
                                                 double density,
                                                 const Threads&) {
  const auto state = operation_state(size, density);
  state->entries = state->mask.to_indices();
  return function_work({.run =
                            [state] {
                              const PublishedEntries& entries = state->entries;
                              state->merged =
                                  PublishedMask::from_indices(state->mask.shape(), entries.indices,
                                                              entries.weights, entries.offsets);
                            },
                        .check =
                            [state] {
                              require(state->merged == state->mask,
                                      "the mask differs from the one that gave the indices");
                            },
                        .counts = [=]() -> WorkCounts {
                          return {.items = static_cast<double>(size.entries()), .density = density};
                        }});
}

// Sink or local on an empty mask. With `every_head` the mask is stored for every batch entry and
// head, as the published code does; else one copy is stored that holds for all.
BenchmarkCase masker_case(const std::string& masker,
                          std::int64_t tokens,
                          const AttentionShape& full,
                          bool every_head,
                          Scale scale) {
  const AttentionShape shape = scale == Scale::kFull ? full : reduced(full);
  return {fmt::format("mask_operations/{}/{}x{}x{}x{}/{}", masker, full.batch, full.query_heads,
                      full.query_len, full.key_len, every_head ? "every_head" : "broadcast"),
          [=](const BenchmarkContext& context, const Threads& threads) {
            struct State {
              std::shared_ptr<const AttentionProblem> problem;
              PreparedPipeline prepared;
              Mask mask;
            };
            auto problem = context.problems.problem(shape, DType::kFloat32, false);
            const Pipeline pipeline(
                {use_masker(context.maskers, masker, {{"", std::to_string(tokens)}})});
            PreparedPipeline prepared = pipeline.prepare(problem->inputs, {}, threads);
            Mask none = Mask::empty(problem->inputs.visibility);
            const auto state = std::make_shared<State>(
                State{std::move(problem), std::move(prepared), std::move(none)});
            const RowRule rule =
                masker == "sink" ? sink_and_window(tokens, 0) : sink_and_window(0, tokens);
            return function_work(
                {.run =
                     [=] {
                       state->mask = state->prepared.select(threads).mask;
                       if (every_head) {
                         state->mask = broadcast(state->mask, {shape.batch, shape.query_heads});
                       }
                     },
                 .check =
                     [=] {
                       const MaskExtent extent = state->mask.extent();
                       require(!every_head || extent == MaskExtent{shape.batch, shape.query_heads},
                               "the mask is not made for every head");
                       check_rows(state->mask, state->problem->inputs, rule);
                     },
                 .counts = [state]() -> WorkCounts { return {.density = density(state->mask)}; }});
          }};
}

}  // namespace

std::vector<BenchmarkCase> mask_operation_cases(Scale scale) {
  std::vector<BenchmarkCase> cases;
  for (const std::int64_t key_len : {32768, 131072}) {
    const MaskSize size =
        scale == Scale::kFull ? MaskSize{.key_len = key_len} : MaskSize{4, key_len / 32};
    for (const double density : kMaskDensities) {
      const auto add = [&](const char* operation, auto make) {
        cases.push_back(
            {fmt::format("mask_operations/{}/keys={}/density={}", operation, key_len, density),
             [=](const BenchmarkContext&, const Threads& threads) {
               return make(size, density, threads);
             }});
      };
      add("apply_mask", [](const MaskSize& s, double d, const Threads& t) {
        return apply_work(s, d, apply_mask, t);
      });
      add("apply_inv_mask", [](const MaskSize& s, double d, const Threads& t) {
        return apply_work(s, d, apply_inv_mask, t);
      });
      add("merge_mask", merge_work);
      add("to_indices", to_indices_work);
      add("from_indices", from_indices_work);
    }
  }
  for (const AttentionShape& shape :
       {AttentionShape{2, 8, 8, 128, 512, 64}, AttentionShape{4, 16, 16, 256, 1024, 64},
        AttentionShape{8, 32, 32, 512, 2048, 64}}) {
    for (const bool every_head : {true, false}) {
      cases.push_back(masker_case("local", 64, shape, every_head, scale));
      cases.push_back(masker_case("sink", 32, shape, every_head, scale));
    }
  }
  return cases;
}

}  // namespace maskerade
