#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "experiments/results/columns.hpp"
#include "experiments/results/detail/column_list.hpp"
#include "framework/base/nearest_name.hpp"

namespace maskerade {
namespace {

using Result = CellResult;
using List = detail::ColumnList<Result>;

void add_names(List& list) {
  list.add({"key", "", "What the cell is known by: a hash of everything that it depends on."},
           &Result::key)
      .role = ColumnRole::kCellKey;
  list.add({"experiment", "", "The experiment's name."}, &Result::experiment);
  list.add({"workload", "", "The workload's label."}, &Result::workload);
  Column<Result>& cell =
      list.add({"cell", "",
                "Number of the cell in the experiment, from 0; null where it is of another version "
                "of the experiment, its data or its plugins, kept from an earlier run."},
               &Result::cell);
  cell.get = [](const Result& result) {
    return result.cell == Result::kNoNumber ? ColumnValue() : ColumnValue(result.cell);
  };
  cell.set = [set = cell.set](Result& result, const ColumnValue& value) {
    if (std::holds_alternative<std::monostate>(value)) {
      result.cell = Result::kNoNumber;
    } else {
      set(result, value);
    }
  };
  list.add({"pipeline", "", "The pipeline's label; `dense` is the dense reference."},
           &Result::pipeline);
  list.add({"status", "",
            "`ok`; `failed`, it ended with an error or a check did not hold; or `unavailable`, "
            "this build, machine or kernel cannot run it."},
           &Result::status);
  list.add({"reason", "", "Why the status is not `ok`."}, &Result::reason);
  list.add({"device", "", "`cpu` or `cuda`."}, &Result::device);
  list.add_optional_text({"selection_device", "",
                          "Where the maskers of a cell on `cuda` ran: `cuda`, `cpu, uploaded`, or "
                          "both with the names of those on the CPU."},
                         &Result::selection_device);
  list.add({"kernel", "", "The kernel as asked for: `auto` or a name."}, &Result::kernel);
  list.add_optional_text({"kernel_mix", "",
                          "The kernels that ran, by share of the row blocks: "
                          "`tiles 82%, dense 18%`."},
                         &Result::kernel_mix);
  list.add_optional_text(
      {"cost_model", "", "The costs that `auto` chose by: `default`, or `calibrated` and when."},
      &Result::cost_model);
}

void add_data(List& list) {
  using Facts = WorkloadFacts;
  using Shape = AttentionShape;
  const auto facts = &Result::facts;
  list.add({"dtype", "", "How q, k and v are stored: `float32`, `float16` or `bfloat16`."}, facts,
           &Facts::dtype);
  list.add({"batch", "", "Sequences in the batch."}, facts, &Facts::shape, &Shape::batch);
  list.add({"query_heads", "", "Query heads, a multiple of `kv_heads`."}, facts, &Facts::shape,
           &Shape::query_heads);
  list.add({"kv_heads", "", "Heads of k and v."}, facts, &Facts::shape, &Shape::kv_heads);
  list.add({"query_len", "tokens", "Queries of each head."}, facts, &Facts::shape,
           &Shape::query_len);
  list.add(
      {"key_len", "tokens", "Keys of each head; of a decode trace those before its first step."},
      facts, &Facts::shape, &Shape::key_len);
  list.add({"head_dim", "", "Components of a query, a key or a value."}, facts, &Facts::shape,
           &Shape::head_dim);
  list.add({"causal", "", "Whether a query sees only the keys up to its own position."}, facts,
           &Facts::causal);
  list.add({"source", "", "Where q, k and v came from."}, facts, &Facts::source);
  list.add({"file", "", "The data's file; of three files that of the queries."}, &Result::file);
  list.add({"layer", "", "The layer of the model that the data is of; 0 where it states none."},
           facts, &Facts::layer);
  list.add({"seed", "", "Seed of generated data."}, &Result::seed);
  list.add({"source_params", "", "What else the source was asked for, by name."},
           &Result::source_params);
  list.add({"queries", "rows", "Query rows of each head that were drawn from the source's."},
           &Result::queries);
  list.add({"query_seed", "", "Seed of the draw of `queries`."}, &Result::query_seed);
  list.add({"decode_steps", "steps", "Steps of a decode trace; null of everything else."},
           &Result::decode_steps);
  list.add({"scale", "", "Factor of the logits: logit = scale · q·k."}, facts, &Facts::scale);
  list.add({"mask_seed", "", "Seed of random maskers; null of the dense reference."},
           &Result::mask_seed);
  list.add({"threads", "", "Worker threads of the CPU."}, &Result::threads);
  list.add({"chunk_rows", "rows", "Query rows that were selected at once."}, &Result::chunk_rows);
  list.add({"params", "",
            "Each masker that ran, with its resolved parameters; on a route as `ROUTE/masker`."},
           &Result::params);
  list.add({"routes", "",
            "What selected for some heads in the pipeline's place, and for which: "
            "`{\"dense\": \"0-3 6\"}`."},
           &Result::routes);
}

void add_match(List& list) {
  using Match = MatchFacts;
  using Outcome = MatchOutcome;
  const auto match = &Result::match;
  list.add({"match_quantity", "", "The column that `match` gave a target; null without `match`."},
           match, &Match::quantity);
  list.add({"match_target", "", "The target of `match_quantity`, in that column's unit."}, match,
           &Match::target);
  list.add(
      {"match_tolerance", "share", "How near to `match_target` counts as reached, relative to it."},
      match, &Match::tolerance);
  list.add({"match_parameter", "", "The parameter that was searched: `MASKER.PARAMETER`."}, match,
           &Match::parameter);
  list.add({"match_on_miss", "",
            "What becomes of a cell whose search missed the target: `keep` measures it, `fail` "
            "makes it `failed` besides."},
           match, &Match::on_miss);
  list.add({"match_value", "",
            "The value that was found, with which the cell ran; null where nothing was searched."},
           match, &Match::found, &Outcome::value);
  list.add({"match_reached", "", "The quantity at `match_value`, in the search."}, match,
           &Match::found, &Outcome::reached);
  list.add({"match_least", "", "The quantity's least value over all probes."}, match, &Match::found,
           &Outcome::least);
  list.add({"match_greatest", "", "The quantity's greatest value over all probes."}, match,
           &Match::found, &Outcome::greatest);
  list.add({"match_probes", "", "How many values of the parameter the search tried."}, match,
           &Match::found, &Outcome::probes);
  list.add({"match_search_ms", "ms", "Time of the whole search, counted in no stage."}, match,
           &Match::found, &Outcome::search_ms);
  list.add({"match_status", "", "How the search ended: `matched`, `nearest` or `unreachable`."},
           match, &Match::found, &Outcome::status);
}

void add_mask(List& list) {
  const auto counts = &Result::counts;
  list.add({"density", "share", "Active entries over visible entries."}, counts,
           &MaskCounts::density);
  list.add(
      {"density_p5", "share", "The 5th percentile of the densities of all rows that see a key."},
      counts, &MaskCounts::density_p5);
  list.add(
      {"density_p95", "share", "The 95th percentile of the densities of all rows that see a key."},
      counts, &MaskCounts::density_p95);
  list.add({"visible_entries", "entries", "Pairs of a row and a key that it sees."}, counts,
           &MaskCounts::visible_entries);
  list.add({"active_entries", "entries",
            "Pairs of a row and a key that it attends to, sampled ones included."},
           counts, &MaskCounts::active_entries);
  list.add({"sampled_entries", "entries", "Active entries with a probability below 1."}, counts,
           &MaskCounts::sampled_entries);
  list.add({"tiles_full", "tiles", "Tiles of 64 × 64 in which every visible entry is active."},
           counts, &MaskCounts::tiles_full);
  list.add({"tiles_partial", "tiles", "Tiles in which some visible entries are active."}, counts,
           &MaskCounts::tiles_partial);
  list.add({"tiles_empty", "tiles", "Tiles in which no entry is active."}, counts,
           &MaskCounts::tiles_empty);
  list.add({"empty_rows", "rows", "Rows that attend to nothing; their output is 0."}, counts,
           &MaskCounts::empty_rows);
}

void add_cost(List& list) {
  const auto cost = &Result::cost;
  list.add({"keys_scored", "keys", "Keys that selecting scored, over all rows."}, cost,
           &CostFacts::keys_scored);
  list.add({"select_bytes_read", "bytes", "What selecting read."}, cost,
           &CostFacts::select_bytes_read);
  list.add({"index_bytes", "bytes",
            "Size of the maskers' indexes; of a decode trace after its last step."},
           cost, &CostFacts::index_bytes);
  list.add({"index_spans_future", "", "Whether an index held keys that the queries do not see."},
           cost, &CostFacts::index_spans_future);
  list.add({"kv_bytes_touched", "bytes",
            "K and V that attending read, where rows share a read once for them all."},
           cost, &CostFacts::kv_bytes_touched);
  list.add({"total_bytes", "bytes",
            "`select_bytes_read` + `kv_bytes_touched` + the bytes of q, out and lse."},
           cost, &CostFacts::total_bytes);
  list.add({"required_flops", "flop",
            "The least arithmetic of attending over this mask: 4 · head_dim for an active entry."},
           cost, &CostFacts::required_flops);
  list.add({"required_bytes", "bytes",
            "The least memory traffic of attending over this mask: K and V of the keys that a kv "
            "group attends to, q, out and lse, each once."},
           cost, &CostFacts::required_bytes);
  list.add_derived({"attainable_ms", "ms",
                    "The least time of attending over this mask that the measured peaks allow: the "
                    "longer of `required_flops` and `required_bytes` at them."},
                   [](const Result& result) { return result.attainable_ms(); });
  list.add_derived({"percent_of_attainable", "%", "`attainable_ms` over `attend_ms`."},
                   [](const Result& result) { return result.percent_of_attainable(); });
  list.add_derived({"attend_flops_per_second", "flop/s",
                    "Rate of attending, 4 · head_dim flops for an active entry; null of decode "
                    "traces."},
                   [](const Result& result) { return result.attend_flops_per_second(); });
  list.add_derived(
      {"percent_of_peak_flops", "%", "`attend_flops_per_second` over `peak_flops_per_second`."},
      [](const Result& result) { return result.percent_of_peak_flops(); });
  list.add_derived(
      {"percent_of_l2_roof", "%",
       "`attend_flops_per_second` over what a device's second-level cache lets tiles of 64 queries "
       "do: 64 flops a byte; null of the kernel `rows`."},
      [](const Result& result) { return result.percent_of_l2_roof(); });
  list.add_derived(
      {"attend_bytes_per_second", "bytes/s", "Rate of attending by `kv_bytes_touched`."},
      [](const Result& result) { return result.attend_bytes_per_second(); });
  list.add_derived(
      {"percent_of_bandwidth", "%",
       "`attend_bytes_per_second` over `peak_read_bytes_per_second`; above 100 where caches serve "
       "what is read again."},
      [](const Result& result) { return result.percent_of_bandwidth(); });
}

// The four columns of a stage, whose summary is the member at the end of StageTimes' `stage`.
template <typename Stage>
void add_stage(List& list, const std::string& name, const std::string& meaning, Stage stage) {
  constexpr const char* kNoInterval = "; null below six repetitions.";
  const auto times = &Result::times;
  const std::string median = name + "_ms";
  list.add({median, "ms", meaning}, times, stage, &Summary::median);
  list.add(
      {median + "_lo", "ms", "Lower end of the 95% interval of `" + median + "`" + kNoInterval},
      times, stage, &Summary::lo);
  list.add(
      {median + "_hi", "ms", "Upper end of the 95% interval of `" + median + "`" + kNoInterval},
      times, stage, &Summary::hi);
  list.add({median + "_min", "ms", "The least of the times behind `" + median + "`."}, times, stage,
           &Summary::min);
}

void add_times(List& list) {
  list.add({"load_ms", "ms",
            "Time of making the maskers, once: reading the weights and masks that they take from "
            "files. In no total."},
           &Result::times, &StageTimes::load_ms);
  add_stage(list, "prepare",
            "Median time of preparing: what is made once for the keys, as indexes are.",
            &StageTimes::prepare);
  add_stage(list, "append", "Of a decode trace alone: time of giving a step's key to the indexes.",
            &StageTimes::append);
  add_stage(list, "select", "Median time of selecting, all maskers together.", &StageTimes::select);
  list.add({"select_ms_by_masker", "ms", "Median time of each masker."}, &Result::times,
           &StageTimes::select_by_masker);
  add_stage(list, "plan", "Median time of turning the mask into work for a kernel.",
            &StageTimes::plan);
  add_stage(list, "attend", "Median time of attending over the mask.", &StageTimes::attend);
  add_stage(list, "total",
            "Median of prepare + select + plan + attend; of a decode trace prepare / steps + "
            "append + select + plan + attend.",
            &StageTimes::total);
  add_stage(list, "dense", "Median time of the dense reference in the same loop.",
            &StageTimes::dense);
  list.add_optional_text({"dense_kernel", "", "The kernel of the dense reference."},
                         &Result::dense_kernel);
  list.add_optional_text(
      {"dense_kernel_reason", "", "Why cuDNN is not the dense reference of a cell on `cuda`."},
      &Result::dense_kernel_reason);
}

void add_clocks(List& list,
                const std::string& when,
                const std::string& moment,
                std::optional<DeviceClocks> DeviceTiming::*clocks) {
  const auto timing = &Result::device_timing;
  list.add({"sm_mhz_" + when, "MHz", "Clock of the device's multiprocessors " + moment + "."},
           timing, clocks, &DeviceClocks::sm_mhz);
  list.add({"memory_mhz_" + when, "MHz", "Clock of the device's memory " + moment + "."}, timing,
           clocks, &DeviceClocks::memory_mhz);
  list.add({"temperature_celsius_" + when, "°C", "Temperature of the device " + moment + "."},
           timing, clocks, &DeviceClocks::temperature_celsius);
  list.add({"throttle_reasons_" + when, "",
            "What held the clocks down " + moment + ": `none`, names, or `not told`."},
           timing, clocks, &DeviceClocks::throttle_reasons);
}

void add_timing(List& list) {
  list.add({"cache", "",
            "What the second-level cache of `cuda` held when a stage began: `cold`, nothing of the "
            "problem, or `warm`; a selection with maskers on the CPU has no cold one."},
           &Result::device_timing, &DeviceTiming::cache);
  list.add({"launch_ms", "ms",
            "What launching attend's kernels one by one takes more than replaying them from a "
            "graph; null where no graph was asked for."},
           &Result::device_timing, &DeviceTiming::launch_ms);
  add_clocks(list, "before", "after the warm-up", &DeviceTiming::before);
  add_clocks(list, "after", "after the last repetition", &DeviceTiming::after);
  list.add_derived({"speedup", "", "`dense_ms` over `total_ms`."},
                   [](const Result& result) -> std::optional<double> {
                     if (!result.times) return std::nullopt;
                     return result.times->speedup();
                   });
  list.add_derived({"break_even_density", "share",
                    "The density at which attending would take as long as dense if its time were "
                    "proportional to density; above 1: never."},
                   [](const Result& result) { return result.break_even_density(); });
  Column<Result>& repetitions = list.add({"repetitions", "", "How often the stages were repeated."},
                                         &Result::times, &StageTimes::repetitions);
  // Rationale: each stage's summary has the number too, and stands before it in the list.
  repetitions.set = [set = repetitions.set](Result& result, const ColumnValue& value) {
    set(result, value);
    if (!result.times) return;
    StageTimes& times = *result.times;
    for (std::optional<Summary>* stage :
         {&times.prepare, &times.append, &times.select, &times.plan}) {
      if (*stage) (*stage)->repetitions = times.repetitions;
    }
    for (Summary* stage : {&times.attend, &times.total, &times.dense}) {
      stage->repetitions = times.repetitions;
    }
  };
  list.add({"measure_target", "share",
            "Half the width of the median's interval, relative to it, at which repeating ends."},
           &Result::measure_target);
  list.add({"measure_budget_ms", "ms", "The time after which repeating ends in any case."},
           &Result::measure_budget_ms);
  list.add_derived({"total_relative_half_width", "share",
                    "Half the width of the 95% interval of `total_ms`, over `total_ms`; null below "
                    "six repetitions."},
                   [](const Result& result) { return result.total_relative_half_width(); });
  list.add_derived({"timing", "",
                    "`ok`, or `noisy`: the half-width of `total_ms` or `dense_ms` is above "
                    "`measure_target`, or there is no interval."},
                   [](const Result& result) { return result.timing(); });
  list.add({"load_average", "",
            "The system's load average of a minute when the cell ended: processes that ran or "
            "waited to, this one included."},
           &Result::load, &LoadFacts::average);
  list.add({"other_load", "processors",
            "How many processors were busy with other processes while the cell was repeated; null "
            "where the system does not tell, and below 250 ms."},
           &Result::load, &LoadFacts::other);
}

void add_fidelity(List& list) {
  const auto fidelity = &Result::fidelity;
  list.add({"rel_l2_error", "share",
            "Euclidean norm of the output's difference from dense attention, over that of dense."},
           fidelity, &Fidelity::rel_l2_error);
  list.add({"rel_l2_error_median_head", "share", "The median of the heads' `rel_l2_error`."},
           fidelity, &Fidelity::rel_l2_error_median_head);
  list.add({"rel_l2_error_p95_head", "share", "The 95th percentile of the heads' `rel_l2_error`."},
           fidelity, &Fidelity::rel_l2_error_p95_head);
  list.add({"rel_l2_error_max_head", "share", "The largest of the heads' `rel_l2_error`."},
           fidelity, &Fidelity::rel_l2_error_max_head);
  list.add({"attention_recall", "share",
            "Share of the dense softmax mass on the keys selected for certain, mean over rows."},
           fidelity, &Fidelity::attention_recall);
  list.add({"sampled_share", "share",
            "Share of the dense softmax mass on the sampled keys, unweighted, mean over rows."},
           fidelity, &Fidelity::sampled_share);
  list.add(
      {"lse_error", "nats", "Mean distance of a row's log-sum-exp from that of dense attention."},
      fidelity, &Fidelity::lse_error);
  list.add({"oracle_error", "",
            "Error of the kernel against float64 attention over the same keys, worst row."},
           &Result::oracle, &OracleFacts::error);
  list.add({"oracle_quotient", "",
            "The largest error of a row over its own allowance; above 1 the cell fails."},
           &Result::oracle, &OracleFacts::quotient);
  list.add(
      {"oracle_allowance", "",
       "The allowance of that row: `tolerance` and what the row's data amplifies rounding to."},
      &Result::oracle, &OracleFacts::allowance);
  list.add({"oracle_condition", "",
            "How many times the data amplifies rounding, worst row: (1 + the condition of the "
            "logits) · the cancellation of the values."},
           &Result::oracle, &OracleFacts::condition);
  list.add({"dense_oracle_error", "",
            "Error of the dense reference against float64 attention over all keys, worst row."},
           &Result::oracle, &OracleFacts::dense_error);
  list.add({"dense_oracle_quotient", "",
            "The same over the row's allowance, largest; above 1 the cell of `dense` fails, and "
            "the others say so."},
           &Result::oracle, &OracleFacts::dense_quotient);
  list.add({"oracle_rows", "rows", "Rows that were compared with float64 attention."},
           &Result::oracle, &OracleFacts::rows);
  list.add({"undecidable_rows", "rows",
            "Of `oracle_rows` those whose allowance is above 0.05, which are not passed; where all "
            "are, the cell fails."},
           &Result::oracle, &OracleFacts::undecidable_rows);
  list.add({"tolerance", "",
            "The base of every row's allowance: what may be wrong where the data amplifies "
            "nothing."},
           &Result::tolerance);
  list.add({"tolerance_is_loosened", "",
            "Whether the experiment accepts more than the kernel's arithmetic needs."},
           &Result::tolerance_is_loosened);
}

// The three columns of a rate of Coverage.
void add_rate(List& list,
              const std::string& name,
              const std::string& meaning,
              const std::string& bound,
              RateBounds Coverage::*rate) {
  const auto coverage = &Result::coverage;
  list.add({name, "share", meaning}, coverage, rate, &RateBounds::rate);
  list.add({name + "_lo", "share", "Exact lower bound of `" + name + "`, passed by " + bound},
           coverage, rate, &RateBounds::lo);
  list.add({name + "_hi", "share", "Exact upper bound of `" + name + "`, passed by " + bound},
           coverage, rate, &RateBounds::hi);
}

void add_coverage(List& list) {
  const auto coverage = &Result::coverage;
  list.add({"coverage_seeds", "",
            "Draws on which a masker's statement P(error of the softmax denominator > epsilon) ≤ "
            "delta was checked; null where that was not asked or nothing is stated."},
           coverage, &Coverage::seeds);
  list.add({"coverage_rows", "rows", "Rows that the check of coverage looked at in each draw."},
           coverage, &Coverage::rows);
  list.add({"coverage_epsilon", "share",
            "The error that the masker states, relative to the denominator."},
           coverage, &Coverage::stated, &Guarantee::epsilon);
  list.add(
      {"coverage_delta", "share", "The stated probability of an error above `coverage_epsilon`."},
      coverage, &Coverage::stated, &Guarantee::delta);
  add_rate(list, "coverage_rate",
           "How often the error was above `coverage_epsilon`, over all rows and draws.",
           "with probability 0.1% (Clopper and Pearson).", &Coverage::overall);
  add_rate(list, "coverage_worst_rate",
           "How often the error was above `coverage_epsilon` in the row where it was most often.",
           "in any of the rows with probability 0.1% (Bonferroni).", &Coverage::worst);
  list.add({"coverage_contradicting_rows", "rows",
            "Rows in which the lower bound of the rate exceeds `coverage_delta`."},
           coverage, &Coverage::contradicting_rows);
  list.add_derived(
      {"coverage_verdict", "",
       "`contradicted` where a lower bound, of all rows together or of one, exceeds "
       "delta; `holds` where none does, `coverage_rate_hi` is at most delta, and there "
       "are draws enough to contradict a row that always misses; else `undecided`."},
      [](const Result& result) -> std::optional<std::string> {
        if (!result.coverage) return std::nullopt;
        return std::string(verdict_of(*result.coverage));
      });
}

void add_machine(List& list) {
  const auto peaks = &Result::peaks;
  list.add({"peak_bytes", "bytes",
            "Peak resident memory of the process while the cell was repeated, data and dense "
            "reference included."},
           &Result::peak_bytes);
  list.add({"machine", "", "The processor and its instruction set; on `cuda` the device too."},
           &Result::machine);
  list.add({"peak_flops_per_second", "flop/s",
            "Peak arithmetic, measured at the start of the run or kept for the device."},
           peaks, &MachinePeaks::flops_per_second);
  list.add({"peak_read_bytes_per_second", "bytes/s",
            "Peak bandwidth of reading memory; of a device of copying, read and written."},
           peaks, &MachinePeaks::read_bytes_per_second);
  list.add({"peak_l2_bytes_per_second", "bytes/s",
            "Peak bandwidth of reading a device's second-level cache."},
           peaks, &MachinePeaks::l2_bytes_per_second);
  list.add({"peak_flops_source", "",
            "What has the peak arithmetic: `vectors` or `matrix tiles` of a CPU, `cuBLASLt` or "
            "`mma.sync` of a device."},
           peaks, &MachinePeaks::flops_source);
  list.add({"program_version", "", "The program's version and the first digits of its build ID."},
           &Result::program_version);
  list.add({"plugins", "", "Each masker with the SHA-256 of its library."}, &Result::plugins);
  list.add({"isolated", "", "Whether the cell ran in a process of its own."},
           &Result::was_isolated);
  list.add({"cell_ms", "ms", "Wall time of the whole cell, checks and searches included."},
           &Result::cell_ms);
  list.add({"run", "", "The run that measured it, in the table `runs` of its database."},
           &Result::run);
}

std::vector<Column<Result>> make_columns() {
  List list;
  add_names(list);
  add_data(list);
  add_match(list);
  add_mask(list);
  add_cost(list);
  add_times(list);
  add_timing(list);
  add_fidelity(list);
  add_coverage(list);
  add_machine(list);
  return list.take();
}

}  // namespace

const std::vector<Column<CellResult>>& cell_columns() {
  static const std::vector<Column<CellResult>> kColumns = make_columns();
  return kColumns;
}

const Column<CellResult>& cell_column(const std::string& name) {
  const std::vector<Column<CellResult>>& columns = cell_columns();
  const auto found =
      std::find_if(columns.begin(), columns.end(),
                   [&](const Column<CellResult>& column) { return column.name == name; });
  if (found != columns.end()) return *found;
  std::vector<std::string> names;
  for (const Column<CellResult>& column : columns) names.push_back(column.name);
  const std::string nearest = nearest_name(name, names);
  throw ConfigError({}, "results have no column \"" + name + "\"; " +
                            (nearest.empty() ? "maskerade results --describe-columns lists them"
                                             : "did you mean \"" + nearest + "\"?"));
}

std::span<const Column<CellResult>> exported_columns() {
  return std::span(cell_columns()).subspan(1);
}

}  // namespace maskerade
