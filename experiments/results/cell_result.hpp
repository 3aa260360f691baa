#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/measure/fidelity.hpp"
#include "experiments/measure/statistics.hpp"
#include "framework/mask/mask.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

enum class CellStatus {
  kOk,
  kFailed,       // something threw, or a check did not hold; `reason` says what
  kUnavailable,  // this build or machine cannot run it
};
std::string_view name_of(CellStatus status) noexcept;  // "ok", "failed", "unavailable"

// What a cell ran on.
struct WorkloadFacts {
  AttentionShape shape;
  DType dtype = DType::kFloat32;
  bool causal = false;
  std::string source;
  std::int64_t layer = 0;
};

// What selecting and attending read.
struct CostFacts {
  std::int64_t keys_scored = 0;
  std::int64_t select_bytes_read = 0;
  std::int64_t index_bytes = 0;
  bool index_spans_future = false;  // a masker's index held keys that its queries do not see
  std::int64_t kv_bytes_touched = 0;
};

// The timed stages, in milliseconds. The dense reference has none but attend.
struct StageTimes {
  std::optional<Summary> prepare = {};
  std::optional<Summary> select = {};
  std::vector<std::pair<std::string, double>> select_by_masker = {};  // medians, in list order
  std::optional<Summary> plan = {};
  Summary attend;
  Summary total;  // of the sums that the stages make in each repetition
  Summary dense;
  std::int64_t repetitions = 0;

  double speedup() const { return dense.median / total.median; }
};

// Errors against the float64 oracle.
struct OracleFacts {
  std::int64_t rows = 0;  // compared
  double error = 0;       // of the cell's kernel, the worst row
  double dense_error = 0;
};

// One row of the results. What was not measured is absent.
struct CellResult {
  std::string experiment;
  std::string workload;   // label
  std::int64_t cell = 0;  // number of the row in the experiment, from 0
  std::string pipeline;   // label
  CellStatus status = CellStatus::kOk;
  std::string reason;  // of a status other than ok
  std::string device;
  std::string kernel;      // as asked for: "auto" or a kernel's name
  std::string kernel_mix;  // the kernel that ran; empty when none did
  std::optional<WorkloadFacts> facts;
  std::optional<std::string> file;         // of the data
  std::optional<std::uint64_t> seed;       // of generated data
  std::optional<std::uint64_t> mask_seed;  // absent for the dense reference
  int threads = 1;
  // Masker id (with #2, #3, ... for repeated ones) and its resolved parameters, in list order.
  std::vector<std::pair<std::string, std::vector<std::pair<std::string, std::string>>>> params;
  std::optional<MaskCounts> counts;  // over the whole problem: broadcast copies counted
  std::optional<CostFacts> cost;
  std::optional<StageTimes> times;
  std::string dense_kernel;
  std::optional<Fidelity> fidelity;
  std::optional<OracleFacts> oracle;
  double tolerance = 0;                // of the oracle errors
  bool tolerance_is_loosened = false;  // beyond the default of the kernel's arithmetic
  std::string machine;
  std::string program_version;
};

}  // namespace maskerade
