#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/config/assignments.hpp"
#include "experiments/config/preset_table.hpp"
#include "experiments/match/match_spec.hpp"
#include "experiments/sources/source.hpp"
#include "framework/base/error.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/plugin/catalog.hpp"
#include "framework/tensor/dtype.hpp"

namespace maskerade {

// The name of the dense reference, which always runs. As the `use` of a route it means that every
// visible key is attended to.
inline constexpr const char* kDenseName = "dense";

// Prefill attends with many queries at once, as when a model reads a prompt. Decode attends with
// one query, as when it generates one token.
enum class WorkloadKind { kPrefill, kDecode };

// One workload, after sweeps, file patterns and lists of layers were expanded. Sizes that are
// absent come from the data files; a generated source has all of them.
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
  // How many of the source's query_len queries to draw; each keeps its position. Absent: all.
  std::optional<std::int64_t> queries;
  std::uint64_t query_seed = 0;  // seed of that draw
  // Set only when some pipeline of the file has `only`, and the data file's header can be read.
  std::optional<WorkloadKind> kind = {};
  // Present for a decode trace: the prompt has key_len keys, and each of these steps appends one
  // key and attends with one query.
  std::optional<std::int64_t> decode_steps = {};
  // Where the YAML text gives a value, by key ("key_len"); keys that it leaves out are absent.
  std::map<std::string, TextPosition> positions = {};

  // Where the YAML text gives the value of a key, or where the workload begins if it does not.
  const TextPosition& position_of(const std::string& key) const {
    const auto found = positions.find(key);
    return found == positions.end() ? position : found->second;
  }
};

// One entry of `overrides`: for some layers and query heads, other maskers take the place of the
// pipeline's own.
struct RouteRule {
  std::optional<std::vector<std::int64_t>> layers;  // nullopt: every layer
  std::optional<std::vector<std::int64_t>> heads;   // query heads; nullopt: every query head
  std::string use;        // the pipeline, let or preset that selects instead, or "dense"
  bool is_dense = false;  // every visible key is attended to; `maskers` is empty
  std::vector<MaskerUse> maskers = {};
  TextPosition position;  // where `heads` stands in the YAML, or the whole rule if it has none

  // Whether the rule applies to data of this layer. nullopt: the data does not say its layer; then
  // only rules for every layer apply.
  bool is_for_layer(std::optional<std::int64_t> layer) const;
};

// One pipeline, after lets and sweeps were expanded and its parameters were validated against the
// catalog.
struct PipelineSpec {
  std::string name;   // the key under `pipelines:`
  std::string label;  // the name and the swept values: "topk budget=5%"
  TextPosition position;
  std::vector<MaskerUse> maskers;
  std::optional<WorkloadKind> only = {};  // the kind of workload it runs on; absent: both kinds
  std::optional<MatchSpec> match = {};  // the target that one parameter of `maskers` is set to meet
  std::vector<RouteRule> overrides = {};  // the first that applies to a head decides for it
};

// The most cells that an experiment may have, and the most workloads and pipelines.
inline constexpr std::size_t kMaxCells = 1'000'000;

// Whether the grid has cells of the pipeline on the workload. Rationale: a workload whose kind is
// unknown because its file cannot be read gets every pipeline, so that each of its cells can report
// that failure.
bool runs_on(const PipelineSpec& pipeline, const WorkloadSpec& workload) noexcept;

// Every masker of the pipeline and of its overrides, in their order; they are the pipeline's.
std::vector<const MaskerUse*> maskers_of(const PipelineSpec& pipeline);

// Whether a rule applies to a workload, as far as is known before the data is loaded: true also
// when only the loaded file will tell its layer.
bool may_hold(const RouteRule& rule, const WorkloadSpec& workload);

// Whether a masker of the pipeline, or of an override that may apply to the workload, draws random
// numbers.
bool depends_on_seed(const PipelineSpec& pipeline, const WorkloadSpec& workload);

// How the result of a cell is checked: the section `check`.
struct CheckSpec {
  std::int64_t oracle_rows = 256;   // rows compared with the float64 oracle; 0: none; -1: all
  std::optional<double> tolerance;  // largest oracle error; absent: by the kernel's arithmetic
  // Seeds and rows on which a guarantee that a sampler states is put to the test; 0 seeds: no test.
  std::int64_t coverage_seeds = 0;
  std::int64_t coverage_rows = 64;
};

// How a cell is timed: the section `measure`.
struct MeasureSpec {
  double target = 0.02;     // relative half-width of the median's 95 % confidence interval
  double budget_ms = 2000;  // wall time of a cell after which no further repetition begins
  // For cells on cuda. Warm: the second-level cache keeps what the stage's last run left in it;
  // else the cache is flushed before each repetition.
  bool is_warm = false;
  bool uses_graph = false;  // for cells on cuda: attend is replayed from a CUDA graph
  // What a cell in a process of its own may take before that process is ended, see Isolation: time
  // from its beginning, and growth of resident memory beyond what its workload takes. Absent: no
  // bound on memory.
  double cell_timeout_ms = 600'000;
  std::optional<std::int64_t> cell_memory_bytes = {};
};

// Which cells run in a worker, a process of its own, so that a masker that crashes, hangs, exits or
// takes all memory costs one cell and not the run.
enum class Isolation {
  kAuto,  // those with a masker that is not built in
  kAll,
  kNone,
};

// One point of the product of the sweeps in `check` and `measure`.
struct CellRules {
  CheckSpec check;
  MeasureSpec measure;
};

struct Cell;

// A validated experiment file.
struct Experiment {
  std::string name;
  std::filesystem::path file;
  std::vector<WorkloadSpec> workloads;
  std::vector<PipelineSpec> pipelines;
  std::vector<std::string> devices;  // names in the table of backends
  std::vector<std::string> kernels;  // names in the table of kernels
  std::vector<std::uint64_t> mask_seeds;
  std::vector<CellRules> checks;  // one, unless `check` or `measure` is swept
  Isolation isolation = Isolation::kAuto;
  // The experiment as it was read, by which another process reads the same one: the text of the
  // file, and what was assigned to its values.
  std::string text;
  std::vector<Assignment> assignments;
};

// One point of the grid. workload, pipeline and check are indices into the experiment's lists
// workloads, pipelines and checks.
struct Cell {
  std::size_t number = 0;  // from 0, in grid order
  std::size_t workload = 0;
  std::size_t pipeline = 0;
  std::size_t check = 0;
  std::string device;
  std::string kernel;
  std::uint64_t mask_seed = 0;
};

// Reads and validates an experiment file, after applying `assignments` to its text in their order.
// Its pipelines use the maskers of `catalog` and may name `presets`. Throws ConfigError with file,
// line and column.
Experiment read_experiment(const std::filesystem::path& file,
                           const std::vector<Assignment>& assignments,
                           const Catalog& catalog,
                           const PresetTable& presets = {});

// The same with the file's text given. Paths in it are relative to the file's folder.
Experiment parse_experiment(const std::string& text,
                            const std::filesystem::path& file,
                            const std::vector<Assignment>& assignments,
                            const Catalog& catalog,
                            const PresetTable& presets = {});

// Throws ConfigError where the workloads and pipelines alone make more than kMaxCells cells, or
// more pairs than can be looked at one by one. To be called before a loop over the pairs.
void check_pairs(const Experiment& experiment);

// The product workloads x checks x pipelines x devices x kernels x seeds. Workloads are outermost,
// so that each is loaded once. A pipeline without random maskers gets the first seed only, and gets
// no cell on workloads that its `only` excludes. Throws ConfigError above kMaxCells cells, or as
// many dense references, before it makes them.
std::vector<Cell> make_grid(const Experiment& experiment);

}  // namespace maskerade
