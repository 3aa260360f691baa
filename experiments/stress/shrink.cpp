#include "experiments/stress/shrink.hpp"

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

#include "framework/base/stopwatch.hpp"

namespace maskerade::stress {
namespace {

// The cells that are one step simpler, the largest steps first.
class SimplerCells {
 public:
  explicit SimplerCells(const StressCell& cell) : cell_(cell) {
    drop_maskers();
    if (cell_.has_previous()) {
      change([](StressCell& c) { c.previous = rules::PreviousMask::kNone; });
    }
    shrink_shape();
    simplify_data();
    drop_parameters();
    simplify_request();
  }
  std::vector<StressCell> take() && { return std::move(cells_); }

 private:
  template <typename Change>
  void change(Change&& apply) {
    StressCell simpler = cell_;
    apply(simpler);
    const AttentionShape& shape = simpler.problem.shape;
    if (simpler.problem.causal && shape.query_len > shape.key_len) return;
    cells_.push_back(std::move(simpler));
  }

  void drop_maskers() {
    for (std::size_t i = 0; i + 1 < cell_.maskers.size(); ++i) {
      change([i](StressCell& c) {
        c.maskers.erase(c.maskers.begin() + static_cast<std::ptrdiff_t>(i));
      });
    }
  }

  // One size to each of the smaller values that are at least 1.
  void shrink_size(std::int64_t AttentionShape::*size, std::initializer_list<std::int64_t> to) {
    for (const std::int64_t value : to) {
      if (value < 1 || value >= cell_.problem.shape.*size) continue;
      change([&](StressCell& c) { c.problem.shape.*size = value; });
    }
  }

  void shrink_shape() {
    const AttentionShape& shape = cell_.problem.shape;
    shrink_size(&AttentionShape::batch, {1});
    if (shape.kv_heads > 1) {
      change([](StressCell& c) {
        c.problem.shape.query_heads = c.problem.shape.group_size();
        c.problem.shape.kv_heads = 1;
      });
    }
    for (const std::int64_t group : {std::int64_t{1}, shape.group_size() / 2}) {
      if (group < 1 || group >= shape.group_size()) continue;
      change([group](StressCell& c) {
        c.problem.shape.query_heads = c.problem.shape.kv_heads * group;
      });
    }
    shrink_size(&AttentionShape::query_len, {1, 2, shape.query_len / 2, shape.query_len - 1});
    shrink_size(&AttentionShape::key_len,
                {1, 2, shape.key_len / 4, shape.key_len / 2, shape.key_len - 1});
    shrink_size(&AttentionShape::head_dim, {8, 16, 32});
  }

  void simplify_data() {
    const rules::ProblemSpec& problem = cell_.problem;
    if (problem.kind != rules::DataKind::kNormal) {
      change([](StressCell& c) { c.problem.kind = rules::DataKind::kNormal; });
    }
    if (problem.dtype != DType::kFloat32) {
      change([](StressCell& c) { c.problem.dtype = DType::kFloat32; });
    }
    if (problem.causal) change([](StressCell& c) { c.problem.causal = false; });
    if (problem.seed != 1) change([](StressCell& c) { c.problem.seed = 1; });
  }

  void drop_parameters() {
    for (std::size_t m = 0; m < cell_.maskers.size(); ++m) {
      const GivenMasker& masker = cell_.maskers[m];
      for (std::size_t i = 0; i < masker.given.size(); ++i) {
        if (!has_default(masker, masker.given[i].name)) continue;
        change([m, i](StressCell& c) {
          std::vector<GivenParameter>& given = c.maskers[m].given;
          given.erase(given.begin() + static_cast<std::ptrdiff_t>(i));
        });
      }
    }
  }
  static bool has_default(const GivenMasker& masker, const std::string& name) {
    const maskerade_masker_descriptor& descriptor = masker.type->descriptor();
    for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
      if (descriptor.parameters[i].name == name) {
        return descriptor.parameters[i].default_value != nullptr;
      }
    }
    return false;
  }

  void simplify_request() {
    if (cell_.threads != 1) change([](StressCell& c) { c.threads = 1; });
    if (cell_.chunk_rows != kUsualChunk) change([](StressCell& c) { c.chunk_rows = kUsualChunk; });
    if (cell_.mask_seed != 0) change([](StressCell& c) { c.mask_seed = 0; });
  }

  // No problem that is drawn has so many rows: all are one chunk.
  static constexpr std::int64_t kUsualChunk = 1024;

  StressCell cell_;
  std::vector<StressCell> cells_;
};

}  // namespace

CellFailure shrink(const CellFailure& failure, CellChecker& checker, double most_ms) {
  CellFailure smallest = failure;
  const Stopwatch stopwatch;
  int tries = 0;
  for (bool has_shrunk = true; has_shrunk;) {
    has_shrunk = false;
    for (StressCell& simpler : SimplerCells(smallest.cell).take()) {
      if (++tries > kMostTries || stopwatch.elapsed_ms() > most_ms) return smallest;
      std::optional<rules::Violations> found = checker.check(failure.invariant, simpler);
      if (!found || found->empty()) continue;
      smallest.cell = std::move(simpler);
      smallest.violations = std::move(*found);
      has_shrunk = true;
      break;
    }
  }
  return smallest;
}

}  // namespace maskerade::stress
