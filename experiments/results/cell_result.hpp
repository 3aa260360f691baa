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
#include "experiments/measure/machine_load.hpp"
#include "experiments/measure/machine_peaks.hpp"
#include "experiments/measure/statistics.hpp"
#include "framework/mask/mask.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/shape.hpp"

namespace maskerade {

enum class CellStatus {
  kOk,
  kFailed,       // it ended with an error, or a check did not hold; `reason` says which
  kUnavailable,  // this build or machine cannot run it
};
std::string_view name_of(CellStatus status) noexcept;  // "ok", "failed", "unavailable"
std::optional<CellStatus> parse_cell_status(std::string_view name) noexcept;

// How well the times of a cell are known.
enum class TimingQuality { kOk, kNoisy };
std::string_view name_of(TimingQuality quality) noexcept;  // "ok", "noisy"

// The problem that a cell solved.
struct WorkloadFacts {
  AttentionShape shape;
  DType dtype = DType::kFloat32;
  bool causal = false;
  std::string source;      // where q, k and v came from: "gaussian seed 1"
  std::int64_t layer = 0;  // of the model that the data is of; 0 where it states none
  double scale = 0;        // logit = scale * q.k
};

// What selecting and attending read. In a decode trace each number is the mean over its steps,
// rounded down, but index_bytes, which is that of the last step, and the required work.
struct CostFacts {
  std::int64_t keys_scored = 0;  // by selecting, over all rows
  std::int64_t select_bytes_read = 0;
  std::int64_t index_bytes = 0;       // size of the maskers' indexes
  bool index_spans_future = false;    // a masker's index held keys that its queries do not see
  std::int64_t kv_bytes_touched = 0;  // K and V that attending read
  // select_bytes_read + kv_bytes_touched + the bytes of q, out and lse, once each: what one
  // selection and one attention move. An index counts where selecting reads it.
  std::int64_t total_bytes = 0;
  // The least work of attending over this mask, see RequiredWork. In a decode trace means over the
  // steps that are not rounded.
  double required_flops = 0;
  double required_bytes = 0;
};

// The times of the stages, in milliseconds. A cell that is the dense reference has attend alone. In
// a decode trace prepare runs once, before the first step; every other summary holds the means over
// the steps: of each step's median, of its interval's ends, of its minimum. There total = prepare /
// steps + append + select + plan + attend.
struct StageTimes {
  // Making the maskers once: reading the weights and masks that they take from files. In no total.
  std::optional<double> load_ms = {};
  std::optional<Summary> prepare = {};
  std::optional<Summary> append = {};  // giving a step's key to the indexes; decode traces alone
  std::optional<Summary> select = {};
  // Each masker's name and median, in the pipeline's order.
  std::vector<std::pair<std::string, double>> select_by_masker = {};
  std::optional<Summary> plan = {};
  Summary attend;
  Summary total;  // of each repetition's sum over the stages
  Summary dense;  // attending to every visible key, in the same loop
  std::int64_t repetitions = 0;

  // dense / total, medians.
  double speedup() const { return dense.median / total.median; }
};

// How a cell on a device was timed.
struct DeviceTiming {
  // What the second-level cache holds when a stage begins. "cold": nothing of the problem; "warm":
  // what the same stage left there.
  std::string cache;
  // How much longer attend takes when its kernels are launched one by one than when they are
  // replayed as a graph: the difference of the medians. Absent where the experiment asks for no
  // graph; then attend and dense are launched one by one.
  std::optional<double> launch_ms = {};
  // The device's state after the warm-up and after the last repetition. Absent without NVML.
  std::optional<DeviceClocks> before = {};
  std::optional<DeviceClocks> after = {};

  // The share by which the multiprocessors' clock fell between the two; 0 where it did not fall, or
  // is not known.
  double clock_drop() const;
};

// What comparing with the float64 oracle gave, see OracleComparison: of the cell's kernel, and of
// the dense reference on the same rows.
struct OracleFacts {
  std::int64_t rows = 0;  // that were compared
  std::int64_t undecidable_rows = 0;
  double error = 0;      // the largest of a row
  double quotient = 0;   // the largest error of a row over its allowance
  double allowance = 0;  // of the row with that quotient
  double condition = 0;  // the largest of a row
  double dense_error = 0;
  double dense_quotient = 0;
};

// How the search of a `match` ended: which value of the parameter brings the quantity nearest to
// its target, how near, and whether that is within the tolerance.
struct MatchOutcome {
  std::string value;        // of the parameter, as a user would write it; the cell ran with it
  double reached = 0;       // the quantity at that value, in the search
  double least = 0;         // the quantity's least value over all probes
  double greatest = 0;      // and its greatest
  std::int64_t probes = 0;  // values that were tried
  double search_ms = 0;     // time of the whole search, counted in no stage
  MatchStatus status = MatchStatus::kUnreachable;
};

// A search for the value of a parameter that gives a quantity its target.
struct MatchFacts {
  MatchQuantity quantity = MatchQuantity::kDensity;
  double target = 0;
  double tolerance = 0;   // relative to the target
  std::string parameter;  // "oracle_topk.budget"
  MissRule on_miss = MissRule::kKeep;
  // Absent where overrides select for every head, or the search ended with an error.
  std::optional<MatchOutcome> found;
};

// One (batch, query head) of a cell.
struct HeadResult {
  std::int64_t batch = 0;
  std::int64_t head = 0;
  double density = 0;       // active / visible entries; 0 when nothing is visible
  double recall = 0;        // attention_recall over this head's rows
  double rel_l2_error = 0;  // over this head's rows
  std::string route = {};   // what selected for the head in the pipeline's place; "": nothing did
};

// One step of a decode trace: a key and a value are appended, and one query attends. Times are
// medians over the step's repetitions, in milliseconds; where the cell is the dense reference there
// are only attend_ms and dense_ms.
struct StepResult {
  std::int64_t step = 0;     // from 0
  std::int64_t key_len = 0;  // keys present, the appended one included
  std::optional<double> append_ms = {};
  std::optional<double> select_ms = {};
  std::optional<double> plan_ms = {};
  double attend_ms = 0;
  double dense_ms = 0;
  std::int64_t repetitions = 0;
  double density = 0;       // active / visible entries of all heads
  double recall = 0;        // attention_recall, mean over heads
  double rel_l2_error = 0;  // over all heads
  std::int64_t keys_scored = 0;
  std::int64_t select_bytes_read = 0;
  std::int64_t index_bytes = 0;  // the step's key included
  std::int64_t kv_bytes_touched = 0;
};

// The times of one stage in the order of the repetitions, in milliseconds and to the nanosecond:
// what a median, and a comparison of two, is made from. Of more than kMostSamples repetitions every
// stride-th is kept.
struct StageSeries {
  std::string stage;  // "prepare", "select", "plan", "attend", "total", "dense"
  std::int64_t stride = 1;
  std::vector<double> times_ms = {};
};
inline constexpr std::size_t kMostSamples = 200;

// Pairs of a name and a value, in order.
using NamedTexts = std::vector<std::pair<std::string, std::string>>;

// One row of the results: a meeting of a workload with a pipeline, and everything that was
// measured. What was not measured is absent. columns.hpp says how its members are written and read
// back.
struct CellResult {
  std::string key;  // what the cell is known by in a ResultStore, see CellKeys; empty: none
  std::string experiment;
  std::string workload;  // label
  // Number of the row in the experiment, from 0. A ResultStore takes it from the cells that the
  // latest run of their folder did not have; a reader then gives kNoNumber.
  std::int64_t cell = 0;
  static constexpr std::int64_t kNoNumber = -1;
  std::string pipeline;  // label
  CellStatus status = CellStatus::kOk;
  std::string reason;  // of a status other than ok
  std::string device;
  // Where the maskers of a cell on cuda ran: "cuda", "cpu, uploaded", or "cuda; cpu, uploaded:
  // NAME, NAME". Empty for any other cell.
  std::string selection_device;
  std::string kernel;      // as asked for: "auto" or a kernel's name
  std::string kernel_mix;  // the kernels that ran, see Plan::kernel_mix; empty when none did
  std::string cost_model;  // where the costs come from by which the kernel was chosen, else empty
  std::optional<WorkloadFacts> facts;
  std::optional<std::string> file;  // of the data; that of the queries where q, k, v have one each
  std::optional<std::uint64_t> seed;        // of generated data
  NamedTexts source_params;                 // what else the source was asked for, by name
  std::optional<std::int64_t> queries;      // query rows drawn from the source's; absent: all
  std::optional<std::uint64_t> query_seed;  // of that draw
  // Steps of a decode trace, whose facts->shape is that before the first step. Absent: no trace.
  std::optional<std::int64_t> decode_steps;
  std::optional<std::uint64_t> mask_seed;  // absent for the dense reference
  int threads = 1;
  double measure_target = 0;  // relative half-width of the median's interval to stop at
  double measure_budget_ms = 0;
  LoadFacts load = {};          // of the machine, over the cell's repetitions
  std::int64_t chunk_rows = 0;  // query rows selected at once
  // Each masker that ran, with its resolved parameters, in the pipeline's order. A masker is named
  // by its id, with #2, #3, ... where it comes again; on a route by "ROUTE/id".
  std::vector<std::pair<std::string, NamedTexts>> params;
  std::optional<MatchFacts> match;  // absent: no parameter was searched
  NamedTexts routes = {};  // what selected for some heads in the pipeline's place, and which heads
  // Over the whole problem: every head, also where heads share one mask, and every step of a trace.
  std::optional<MaskCounts> counts;
  std::optional<CostFacts> cost;
  std::optional<StageTimes> times;
  std::string dense_kernel;         // of the dense reference
  std::string dense_kernel_reason;  // why cuDNN is not the dense reference on a device, else empty
  std::optional<DeviceTiming> device_timing = {};  // absent on the CPU
  std::optional<Fidelity> fidelity;
  std::optional<OracleFacts> oracle;
  // Absent where no check of it was asked for, or the pipeline states no guarantee.
  std::optional<Coverage> coverage;
  double tolerance = 0;                // the base of the rows' allowances
  bool tolerance_is_loosened = false;  // whether it is above the default of the kernel's arithmetic
  // The largest resident memory of the process over the cell's repetitions, warm-up included; the
  // data and the dense reference are in it. Absent where the system does not tell.
  std::optional<std::int64_t> peak_bytes;
  std::vector<HeadResult> heads;  // [batch, query_heads]; empty when not measured
  std::vector<StepResult> steps;  // of a decode trace; empty when not measured
  // By the names of the stages. All of one cell have the same repetitions; of the dense reference
  // there is "dense" alone. Empty when nothing was timed, and of decode traces.
  std::vector<StageSeries> samples;
  std::optional<MachinePeaks> peaks;  // of the machine with this many threads, in the same run
  std::optional<std::int64_t> run;    // that measured it, see RunRecord; absent: in no database
  std::optional<double> cell_ms;      // wall time of the whole cell, checks included
  bool was_isolated = false;          // whether it ran in a process of its own
  std::string machine;
  std::string program_version;
  NamedTexts plugins;  // masker id and SHA-256 of its library, in order of first use

  // Half the width of the 95 % interval of total_ms, over its median. Absent where there is none.
  std::optional<double> total_relative_half_width() const;
  // Whether the medians of total_ms and dense_ms are known as precisely as measure_target asks:
  // kNoisy where one is not, or has no interval. Absent where nothing was timed.
  std::optional<TimingQuality> timing() const;

  // The rates of attending: 4 * head_dim flops for each active entry, which a decode trace does not
  // have, and the bytes of K and V that it reads. Absent where it was not timed.
  std::optional<double> attend_flops_per_second() const;
  std::optional<double> attend_bytes_per_second() const;
  // Those rates in percent of the peaks. More than 100 % of the bandwidth is possible: what is read
  // again comes from caches.
  std::optional<double> percent_of_peak_flops() const;
  std::optional<double> percent_of_bandwidth() const;
  // attend_flops_per_second in percent of what a device's second-level cache lets tiles of 64
  // queries do: each reads K and V once, and makes 64 flops of a byte of 16-bit K and V. Absent for
  // the kernel `rows`, which has no tiles.
  std::optional<double> percent_of_l2_roof() const;
  // The least time that the peaks allow for attending over this mask, see RequiredWork. Absent
  // where the mask was not measured or no peaks are known.
  std::optional<double> attainable_ms() const;
  // 100 * attainable_ms / attend_ms.
  std::optional<double> percent_of_attainable() const;
  // Whether attending was faster than its peaks allow, by more than its own interval: also at the
  // interval's upper end the least arithmetic of the mask exceeds peak arithmetic, or its least
  // traffic peak bandwidth. Traffic counts from kReadProbeBytes on: caches may serve what is less.
  // Never without an interval or peaks.
  bool contradicts_peaks() const;
  // The density at which attending would take as long as the dense reference if its time were
  // proportional to density: density * dense_ms / attend_ms. Above 1 it never would.
  std::optional<double> break_even_density() const;
};

}  // namespace maskerade
