#include <fmt/format.h>

#include "experiments/benchmarks/attention_work.hpp"
#include "experiments/benchmarks/function_work.hpp"
#include "experiments/benchmarks/tables.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade {
namespace {

struct Configuration {
  const char* name;
  AttentionShape shape;
  int percent;   // of the keys to select
  bool partial;  // two keys of each row are active beforehand
};

enum class Way {
  kMerge,    // published as old: build a mask, then merge it
  kDirect,   // published as new: add to the mask
  kOneMask,  // kDirect as it was timed: each call gets the mask that the call before it filled
};

// Every row's first two keys.
Mask first_keys(const Visibility& visibility, const MaskExtent& extent) {
  TileRowBuilder builder(visibility);
  std::vector<TileRow> rows;
  const std::int64_t tile_rows = Mask::empty(visibility).tile_row_count();
  for (std::int64_t n = 0; n < extent.batch * extent.heads; ++n) {
    for (std::int64_t t = 0; t < tile_rows; ++t) {
      builder.start(t);
      for (int row = 0; row < builder.rows(); ++row) builder.add_range(row, 0, 2);
      rows.push_back(builder.finish());
    }
  }
  return Mask::from_tile_rows(visibility, extent, rows);
}

BenchmarkCase select_case(const Configuration& configuration, Way way, Scale scale) {
  const AttentionShape shape =
      scale == Scale::kFull ? configuration.shape : reduced(configuration.shape);
  const bool partial = configuration.partial;
  const int percent = configuration.percent;
  const char* const suffix = way == Way::kMerge    ? "merge"
                             : way == Way::kDirect ? "direct"
                                                   : "direct/one_mask";
  return {fmt::format("seed001/{}/{}", configuration.name, suffix),
          [=](const BenchmarkContext& context, const Threads& threads) {
            struct State {
              std::shared_ptr<const AttentionProblem> problem;
              PreparedPipeline prepared;
              Mask start;
              Mask previous;
              Mask result;
            };
            auto problem = context.problems.problem(shape, DType::kFloat32, false);
            const Pipeline pipeline({use_masker(context.maskers, "oracle_topk",
                                                {{"budget", std::to_string(percent) + "%"}})});
            PreparedPipeline prepared = pipeline.prepare(problem->inputs, {}, threads);
            const Visibility& visibility = problem->inputs.visibility;
            const Mask start = partial ? first_keys(visibility, {shape.batch, shape.query_heads})
                                       : Mask::empty(visibility);
            const auto state = std::make_shared<State>(
                State{std::move(problem), std::move(prepared), start, start, start});
            return function_work(
                {.set_up =
                     [=] {
                       if (way != Way::kOneMask) state->previous = state->start;
                     },
                 .run =
                     [=] {
                       state->result = state->prepared.select(threads, state->previous).mask;
                       if (way == Way::kMerge) {
                         state->result = union_of(state->previous, state->result);
                       }
                       if (way == Way::kOneMask) state->previous = state->result;
                     },
                 .check =
                     [=] {
                       check_rows(
                           state->result, state->problem->inputs,
                           sink_window_and_top(partial ? 2 : 0, 0, shape.key_len * percent / 100));
                     },
                 .counts = [=]() -> WorkCounts {
                   const double scores = static_cast<double>(shape.rows() * shape.key_len);
                   return {.flops = 2 * static_cast<double>(shape.head_dim) * scores,
                           .items = scores,
                           .density = density(state->result)};
                 }});
          }};
}

}  // namespace

// Oracle top-k on self-attention: the published configurations and the single tests.
std::vector<BenchmarkCase> seed001_cases(Scale scale) {
  const Configuration configurations[] = {
      {"Tiny", {1, 4, 4, 256, 256, 64}, 10, false},
      {"Small", {2, 8, 8, 512, 512, 64}, 8, false},
      {"Medium", {4, 12, 12, 1024, 1024, 64}, 5, false},
      {"Large", {1, 8, 8, 2048, 2048, 64}, 3, false},
      {"XLarge", {1, 8, 8, 4096, 4096, 64}, 2, false},
      {"Small-Partial", {2, 8, 8, 512, 512, 64}, 8, true},
      {"Medium-Partial", {2, 12, 12, 1024, 1024, 64}, 5, true},
      {"test-small", {2, 8, 8, 512, 512, 64}, 10, false},
      {"test-medium", {4, 16, 16, 1024, 1024, 64}, 5, false},
      {"test-large", {1, 8, 8, 2048, 2048, 64}, 2, false},
      {"test-GQA", {2, 16, 4, 1024, 1024, 64}, 5, false},
      {"test-partial", {2, 12, 12, 1024, 1024, 64}, 5, true},
  };
  std::vector<BenchmarkCase> cases;
  for (const Configuration& configuration : configurations) {
    cases.push_back(select_case(configuration, Way::kMerge, scale));
    cases.push_back(select_case(configuration, Way::kDirect, scale));
    if (configuration.partial) cases.push_back(select_case(configuration, Way::kOneMask, scale));
  }
  return cases;
}

}  // namespace maskerade
