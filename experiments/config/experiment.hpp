#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attention/plan.hpp"
#include "experiments/config/preset_table.hpp"
#include "experiments/match/match_spec.hpp"
#include "experiments/sources/source.hpp"
#include "framework/base/error.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/plugin/catalog.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade {

// The name of the reference that always runs, and of a route that attends to every visible key.
inline constexpr const char* kDenseName = "dense";

// What a workload does: read a prompt, or add to it token by token.
enum class WorkloadKind { kPrefill, kDecode };

// One workload after sweeps, file patterns and layers are expanded. Sizes that are not given are
// those of the data files; a generated source needs them all.
struct WorkloadSpec {
  std::string name;   // the key under `workloads:`, or "workload"
  std::string label;  // the name and what distinguishes this variant: "prefill key_len=4096"
  TextPosition position;
  std::shared_ptr<const Source> source;  // not null
  std::optional<std::int64_t> batch;
  std::optional<std::int64_t> query_heads;
  std::optional<std::int64_t> kv_heads;
  std::optional<std::int64_t> query_len;
  std::optional<std::int64_t> key_len;
  std::optional<std::int64_t> head_dim;
  std::optional<DType> dtype;
  std::optional<bool> causal;
  std::optional<float> scale;
  // Query rows to draw from the query_len of the source, which keep their positions; default: all.
  std::optional<std::int64_t> queries;
  std::uint64_t query_seed = 0;  // of that draw
  // Known when a pipeline of the file asks for it; absent too when a data file cannot be read.
  std::optional<WorkloadKind> kind = {};
  // A decode trace: key_len keys, then one more a step, each attended to by one query.
  std::optional<std::int64_t> decode_steps = {};
  std::map<std::string, TextPosition> positions = {};  // of the values that the text gives, by key

  // Where the value of a key stands: for one that is not given, the workload's place.
  const TextPosition& position_of(const std::string& key) const {
    const auto found = positions.find(key);
    return found == positions.end() ? position : found->second;
  }
};

// What selects in a pipeline's place, in some layers or for some heads of them.
struct RouteRule {
  std::optional<std::vector<std::int64_t>> layers;  // nullopt: all
  std::optional<std::vector<std::int64_t>> heads;   // query heads; nullopt: all
  std::string use;                                  // the name of what selects there, or "dense"
  bool is_dense = false;                            // every visible key; then there are no maskers
  std::vector<MaskerUse> maskers = {};
  TextPosition position;  // of the heads, or where there are none of the rule

  // Whether it holds for a layer; nullopt: of data that states none.
  bool is_for_layer(std::optional<std::int64_t> layer) const;
};

// One pipeline after lets and sweeps are expanded, its parameters validated against the catalog.
struct PipelineSpec {
  std::string name;   // the key under `pipelines:`
  std::string label;  // the name and the swept values: "topk budget=5%"
  TextPosition position;
  std::vector<MaskerUse> maskers;
  std::optional<WorkloadKind> only = {};  // the workloads that it runs on; default: all
  std::optional<MatchSpec> match = {};    // what a parameter of `maskers` is searched for
  std::vector<RouteRule> overrides = {};  // a head takes the first that holds for it
};

// Whether the grid has cells of that pipeline on that workload. A workload of unknown kind keeps
// every pipeline: its cells all say why it cannot be loaded.
bool runs_on(const PipelineSpec& pipeline, const WorkloadSpec& workload) noexcept;

// Whether an override holds for a workload, or may: a file may state its layer when it is read.
bool may_hold(const RouteRule& rule, const WorkloadSpec& workload);

// Whether any masker of a pipeline, or of an override that may hold, draws random numbers.
bool depends_on_seed(const PipelineSpec& pipeline, const WorkloadSpec& workload);

// How a cell is checked and measured.
struct CheckSpec {
  std::int64_t oracle_rows = 256;   // rows compared with the float64 oracle; 0: none; -1: all
  std::optional<double> tolerance;  // of the oracle error; default by the kernel's arithmetic
  std::int64_t coverage_seeds = 0;  // draws on which a stated guarantee is checked; 0: none
  std::int64_t coverage_rows = 64;  // rows on which it is
};
struct MeasureSpec {
  double target = 0.02;     // relative half-width of the median's 95 % confidence interval
  double budget_ms = 2000;  // wall time per cell after which repetition stops
  // Of cells on cuda: whether a stage finds in the second-level cache what running it leaves there,
  // and whether attend is replayed from a graph.
  bool is_warm = false;
  bool uses_graph = false;
};

struct Cell;

// A validated experiment file.
struct Experiment {
  std::string name;
  std::filesystem::path file;
  std::vector<WorkloadSpec> workloads;
  std::vector<PipelineSpec> pipelines;
  std::vector<std::string> devices;            // "cpu", "cuda"
  std::vector<std::optional<Kernel>> kernels;  // nullopt: auto
  std::vector<std::uint64_t> mask_seeds;
  std::vector<std::pair<CheckSpec, MeasureSpec>> checks;  // one unless swept
};

// One point of the grid. Indices into the experiment's lists.
struct Cell {
  std::size_t number = 0;  // from 0, in grid order
  std::size_t workload = 0;
  std::size_t pipeline = 0;
  std::size_t check = 0;
  std::string device;
  std::optional<Kernel> kernel;
  std::uint64_t mask_seed = 0;
};

// A `--set key=value` of the command line: key is a dotted path ("measure.budget",
// "workloads.prefill.key_len"), value a YAML text.
struct Override {
  std::string key;
  std::string value;
};

// Reads and validates an experiment file. `presets` are pipelines that it may name. Throws
// ConfigError with file, line and column.
Experiment read_experiment(const std::filesystem::path& file,
                           const std::vector<Override>& overrides,
                           const Catalog& catalog,
                           const PresetTable& presets = {});

// The product workloads x checks x pipelines x devices x kernels x seeds, workloads outermost so
// that data is loaded once. Pipelines without random maskers get one seed only; one for the other
// kind of workload gets no cell. Throws ConfigError above a million cells.
std::vector<Cell> make_grid(const Experiment& experiment);

}  // namespace maskerade
