#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/match/match_spec.hpp"
#include "experiments/match/search.hpp"
#include "experiments/measure/coverage.hpp"
#include "experiments/measure/device_clocks.hpp"
#include "experiments/measure/fidelity.hpp"
#include "experiments/measure/machine_peaks.hpp"
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
std::optional<CellStatus> parse_cell_status(std::string_view name) noexcept;

// What a cell ran on.
struct WorkloadFacts {
  AttentionShape shape;
  DType dtype = DType::kFloat32;
  bool causal = false;
  std::string source;
  std::int64_t layer = 0;
  double scale = 0;  // logit = scale * q.k
};

// What selecting and attending read. Of a decode trace: means over its steps, rounded down; of
// index_bytes the last step's.
struct CostFacts {
  std::int64_t keys_scored = 0;
  std::int64_t select_bytes_read = 0;
  std::int64_t index_bytes = 0;
  bool index_spans_future = false;  // a masker's index held keys that its queries do not see
  std::int64_t kv_bytes_touched = 0;
  // select_bytes_read + kv_bytes_touched + the bytes of q, out and lse, once each: what one
  // selection and one attention must move. An index counts when selecting reads it.
  std::int64_t total_bytes = 0;
  // The least time of attending over this mask, see RequiredWork; absent without measured peaks.
  std::optional<double> attainable_ms = {};
};

// The timed stages, in milliseconds. The dense reference has none but attend. Of a decode trace:
// prepare once for all its steps; of the others the means over the steps of each step's median,
// interval ends and minimum; total = prepare / steps + append + select + plan + attend.
struct StageTimes {
  std::optional<Summary> prepare = {};
  std::optional<Summary> append = {};  // of a decode trace alone
  std::optional<Summary> select = {};
  std::vector<std::pair<std::string, double>> select_by_masker = {};  // medians, in list order
  std::optional<Summary> plan = {};
  Summary attend;
  Summary total;  // of the sums that the stages make in each repetition
  Summary dense;
  std::int64_t repetitions = 0;

  double speedup() const { return dense.median / total.median; }
};

// How a cell on a device was timed.
struct DeviceTiming {
  std::string cache;  // "cold": emptied before each stage; "warm": after the same work
  // What launching attend's kernels one by one adds to replaying them as a graph: the median
  // difference. Absent where no graph is asked for; attend and dense are then launched so.
  std::optional<double> launch_ms = {};
  // After the warm-up and after the last repetition. Absent without NVML.
  std::optional<DeviceClocks> before = {};
  std::optional<DeviceClocks> after = {};

  // How far the multiprocessors' clock fell meanwhile, as a share; 0 when it did not or is unknown.
  double clock_drop() const;
};

// Errors against the float64 oracle.
struct OracleFacts {
  std::int64_t rows = 0;  // compared
  double error = 0;       // of the cell's kernel, the worst row
  double dense_error = 0;
};

// A search for the value of a parameter that gives a quantity its target.
struct MatchFacts {
  struct Found {
    std::string value;   // of the parameter, as a user would write it; what the cell ran with
    double reached = 0;  // the quantity's value in the search
    double least = 0;    // of all probes
    double greatest = 0;
    std::int64_t probes = 0;
    double search_ms = 0;  // of the whole search; counted in no stage
    MatchStatus status = MatchStatus::kUnreachable;
  };

  MatchQuantity quantity = MatchQuantity::kDensity;
  double target = 0;
  double tolerance = 0;        // relative to the target
  std::string parameter;       // "oracle_topk.budget"
  std::optional<Found> found;  // absent when the search failed
};

// One (batch, query head) of a cell.
struct HeadResult {
  std::int64_t batch = 0;
  std::int64_t head = 0;
  double density = 0;  // active / visible entries; 0 when nothing is visible
  double recall = 0;   // attention_recall over this head's rows
  double rel_l2_error = 0;
  std::string route = {};  // what selected for it in the pipeline's place; "": nothing did
};

// One step of a decode trace: a key and a value appended, one query. Times are medians over its
// repetitions, in milliseconds; the dense reference has none but attend and dense.
struct StepResult {
  std::int64_t step = 0;     // from 0
  std::int64_t key_len = 0;  // keys present, the appended one included
  std::optional<double> append_ms = {};
  std::optional<double> select_ms = {};
  std::optional<double> plan_ms = {};
  double attend_ms = 0;
  double dense_ms = 0;
  std::int64_t repetitions = 0;
  double density = 0;  // active / visible entries of all heads
  double recall = 0;   // mean over heads
  double rel_l2_error = 0;
  std::int64_t keys_scored = 0;
  std::int64_t select_bytes_read = 0;
  std::int64_t index_bytes = 0;
  std::int64_t kv_bytes_touched = 0;
};

// Names and values, in order.
using NamedTexts = std::vector<std::pair<std::string, std::string>>;

// One row of the results. What was not measured is absent.
struct CellResult {
  std::string key;  // what the cell is known by in a ResultStore, see CellKeys; empty: none
  std::string experiment;
  std::string workload;  // label
  // Number of the row in the experiment, from 0. A ResultStore forgets it of cells that the latest
  // run of their folder did not have.
  std::int64_t cell = 0;
  std::string pipeline;  // label
  CellStatus status = CellStatus::kOk;
  std::string reason;  // of a status other than ok
  std::string device;
  // Of a cell on cuda: where the maskers ran: "cuda", "cpu, uploaded", or "cuda; cpu, uploaded:
  // NAME, NAME"; else empty.
  std::string selection_device;
  std::string kernel;      // as asked for: "auto" or a kernel's name
  std::string kernel_mix;  // the kernels that ran, see Plan::kernel_mix; empty when none did
  std::string cost_model;  // the origin of the costs that chose for auto and rows, else empty
  std::optional<WorkloadFacts> facts;
  std::optional<std::string> file;      // of the data; of the queries where q, k, v have one each
  std::optional<std::uint64_t> seed;    // of generated data
  NamedTexts source_params;             // what else the source was asked for, by name
  std::optional<std::int64_t> queries;  // query rows drawn from the source's; absent: all
  std::optional<std::uint64_t> query_seed;  // of that draw
  // Of a decode trace: facts->shape is that of its first keys, before the first step.
  std::optional<std::int64_t> decode_steps;
  std::optional<std::uint64_t> mask_seed;  // absent for the dense reference
  int threads = 1;
  double measure_target = 0;  // relative half-width of the median's interval to stop at
  double measure_budget_ms = 0;
  std::int64_t chunk_rows = 0;  // query rows selected at once
  // Masker id (with #2, #3, ... for repeated ones) and its resolved parameters, in list order.
  // On a route, "ROUTE/id".
  std::vector<std::pair<std::string, NamedTexts>> params;
  std::optional<MatchFacts> match;  // absent: no parameter was searched
  NamedTexts routes = {};  // what selected for some heads in the pipeline's place, and which heads
  // Over the whole problem: broadcast copies counted, and all steps of a decode trace.
  std::optional<MaskCounts> counts;
  std::optional<CostFacts> cost;
  std::optional<StageTimes> times;
  std::string dense_kernel;
  std::string
      dense_kernel_reason;  // why cuDNN's is not the dense reference of a device; else empty
  std::optional<DeviceTiming> device_timing = {};  // absent on the CPU
  std::optional<Fidelity> fidelity;
  std::optional<OracleFacts> oracle;
  // Absent where it was not asked for, or the pipeline states no guarantee.
  std::optional<Coverage> coverage;
  double tolerance = 0;                // of the oracle errors
  bool tolerance_is_loosened = false;  // beyond the default of the kernel's arithmetic
  // The peak resident set of the process over the cell's repetitions, warm-up included: the data
  // and the dense reference are in it. Absent where the system does not tell.
  std::optional<std::int64_t> peak_bytes;
  std::vector<HeadResult> heads;      // [batch, query_heads]; empty when not measured
  std::vector<StepResult> steps;      // of a decode trace; empty when not measured
  std::optional<MachinePeaks> peaks;  // of the machine with this many threads, in the same run
  std::string machine;
  std::string program_version;
  NamedTexts plugins;  // masker id and SHA-256 of its library, in order of first use

  // The rates of attending: 4 * head_dim flops for each active entry (absent of a decode trace),
  // and the bytes of K and V that it reads, by the second.
  std::optional<double> attend_flops_per_second() const;
  std::optional<double> attend_bytes_per_second() const;
  // Of the peaks. What is read again comes from caches: more than 100 % of the memory's is
  // possible.
  std::optional<double> percent_of_peak_flops() const;
  std::optional<double> percent_of_bandwidth() const;
  // Of the flops that a device's second-level cache lets tiles do of 64 queries, which read K and V
  // once each: 64 flops a byte of 16-bit K and V. nullopt for the rows kernel.
  std::optional<double> percent_of_l2_roof() const;
  // 100 * attainable_ms / attend_ms.
  std::optional<double> percent_of_attainable() const;
  // The density at which attending would take as long as the dense reference, if its time were
  // proportional to density: density * dense_ms / attend_ms. Above 1: it never would.
  std::optional<double> break_even_density() const;
};

}  // namespace maskerade
