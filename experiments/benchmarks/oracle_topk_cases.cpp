#include <fmt/format.h>

#include "experiments/benchmarks/attention_work.hpp"
#include "experiments/benchmarks/tables.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/mask/tile_row_builder.hpp"

namespace maskerade {
namespace {

// A row of the published tables.
struct Configuration {
  const char* name;
  AttentionShape shape;
  int percent;   // percentage of the keys that is selected
  bool partial;  // each row's first two keys are active before the selection
};

// So many selections of 5 % of the keys fill a mask.
constexpr int kCallsThatFill = 25;

// How the selected keys get into the mask.
enum class Way {
  kMerge,   // the published "old" way: select into a new mask, then merge it into the given one
  kDirect,  // the published "new" way: add to the given mask
  // kDirect as it was timed for publication: all calls add to the same mask, which most of them
  // find full already.
  kOneMask,
};

// A mask in which the first two keys of every row are active.
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

// Times oracle top-k on one configuration.
class OracleTopKWork final : public BenchmarkWork {
 public:
  OracleTopKWork(std::shared_ptr<const AttentionProblem> problem,
                 const Pipeline& pipeline,
                 const Configuration& configuration,
                 Way way,
                 const Threads& threads)
      : problem_(std::move(problem)),
        prepared_(pipeline.prepare(problem_->inputs, {}, threads)),
        configuration_(configuration),
        way_(way),
        threads_(threads),
        start_(start_mask()),
        previous_(start_),
        result_(start_) {
    if (way == Way::kOneMask) {
      for (int call = 0; call < kCallsThatFill; ++call) run();
    }
  }

  void set_up() override {
    if (way_ != Way::kOneMask) previous_ = start_;
  }

  void run() override {
    result_ = prepared_.select(threads_, previous_).mask;
    if (way_ == Way::kMerge) result_ = union_of(previous_, result_);
    if (way_ == Way::kOneMask) previous_ = result_;
  }

  void check() const override {
    if (way_ == Way::kOneMask) {
      require(density(result_) == 1, "the mask is not full");
      return;
    }
    const std::int64_t budget = shape().key_len * configuration_.percent / 100;
    check_rows(result_, problem_->inputs,
               sink_window_and_top(configuration_.partial ? 2 : 0, 0, budget));
  }

  WorkCounts counts() const override {
    const double scores = static_cast<double>(shape().rows() * shape().key_len);
    return {.flops = 2 * static_cast<double>(shape().head_dim) * scores,
            .items = scores,
            .density = density(result_)};
  }

 private:
  const AttentionShape& shape() const { return problem_->inputs.shape; }
  Mask start_mask() const {
    const Visibility& visibility = problem_->inputs.visibility;
    return configuration_.partial ? first_keys(visibility, {shape().batch, shape().query_heads})
                                  : Mask::empty(visibility);
  }

  std::shared_ptr<const AttentionProblem> problem_;
  PreparedPipeline prepared_;
  Configuration configuration_;
  Way way_;
  Threads threads_;
  Mask start_;
  Mask previous_;
  Mask result_;
};

std::string_view name_of(Way way) {
  switch (way) {
    case Way::kMerge:
      return "merge";
    case Way::kDirect:
      return "direct";
    case Way::kOneMask:
      break;
  }
  return "direct/one_mask";
}

BenchmarkCase select_case(const Configuration& configuration, Way way, Scale scale) {
  return {fmt::format("oracle_topk/{}/{}", configuration.name, name_of(way)),
          [=](const BenchmarkContext& context, const Threads& threads) {
            const AttentionShape shape =
                scale == Scale::kFull ? configuration.shape : reduced(configuration.shape);
            const std::string budget = std::to_string(configuration.percent) + "%";
            return std::make_unique<OracleTopKWork>(
                context.problems.problem(shape, DType::kFloat32, false),
                Pipeline({use_masker(context.maskers, "oracle_topk", {{"budget", budget}})}),
                configuration, way, threads);
          }};
}

}  // namespace

// Oracle top-k on self-attention: the configurations of the published comparison, and those of the
// published single tests.
std::vector<BenchmarkCase> oracle_topk_cases(Scale scale) {
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
