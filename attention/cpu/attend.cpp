#include "attention/cpu/attend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numbers>
#include <span>
#include <vector>

#include "attention/cpu/detail/attend_with.hpp"
#include "attention/cpu/detail/fetch_ahead.hpp"
#include "attention/cpu/detail/few_rows.hpp"
#include "attention/cpu/detail/float_tiles.hpp"
#include "attention/cpu/detail/matrix_tiles.hpp"
#include "attention/cpu/detail/part_results.hpp"
#include "attention/cpu/detail/row_places.hpp"
#include "attention/cpu/detail/shared_tiles.hpp"
#include "attention/cpu/detail/softmax_kernel.hpp"
#include "attention/cpu/detail/step_blocks.hpp"
#include "attention/cpu/detail/task_list.hpp"
#include "attention/cpu/detail/vector_steps.hpp"
#include "attention/cpu/detail/weigh_samples.hpp"
#include "framework/base/error.hpp"
#include "framework/sdk/low_bits.hpp"
#include "framework/select/key_tile.hpp"
#include "hwy/cache_control.h"

namespace maskerade {
namespace {

using detail::Chunk;
using detail::Floats;
using detail::FloatTiles;
using detail::kScoreStride;
using detail::kStepBlocks;
using detail::MatrixStep;
using detail::MatrixTiles;
using detail::MatrixUnit;
using detail::StepBlock;
using detail::Task;
using detail::TileForm;
using detail::TouchedBlocks;
using detail::VectorSteps;

constexpr float kNoKeys = -std::numeric_limits<float>::infinity();

// The bytes of packed keys and values that the tasks of a gang read in one turn, before the next
// task takes its turn: so many stay in a second-level cache until all of the gang have read them.
constexpr std::int64_t kTurnBytes = std::int64_t{256} << 10;
// The same where a matrix unit multiplies: its operands are larger, and so are the caches of the
// machines that have one.
constexpr std::int64_t kMatrixTurnBytes = std::int64_t{768} << 10;

// Up to this many components in all, merging parts is not worth waking the other workers.
constexpr std::int64_t kSmallMerge = std::int64_t{1} << 17;

// Outputs of this size or more are written by streaming stores. Rationale: an ordinary store reads
// the cache line first, and so large an output is evicted before anyone reads it.
constexpr std::int64_t kStreamedOutputBytes = std::int64_t{4} << 20;

// How many key blocks are packed at once for a matrix unit: those of several steps, so that the
// products of one step overlap with the weights of the next.
constexpr std::int64_t kMatrixReady = 8;
constexpr std::int64_t kMostReady = std::max<std::int64_t>(kMatrixReady, kStepBlocks);
constexpr std::size_t kMostMatrixSteps =
    kMatrixReady / detail::kMatrixBlocks * (kMaxRows / detail::kMatrixRows);

// The state of a task between its turns.
struct Run {
  Run(std::int64_t query_floats, std::int64_t value_dim)
      : queries(aligned_floats(static_cast<std::size_t>(query_floats))),
        out(aligned_floats(static_cast<std::size_t>(kMaxRows * value_dim))) {}

  Floats queries;  // [rows][head_dim] scaled, or the operand of the matrix unit
  Floats out;      // [rows][value_dim] sums of weighted values
  detail::SoftmaxState state;
  const Task* task = nullptr;
  std::int64_t next = 0;  // the key block of the plan that comes next

  bool is_done() const { return next == task->blocks_end; }
};

// The memory of one worker.
struct Scratch {
  Scratch(std::int64_t blocks,
          std::int64_t key_floats,
          std::int64_t value_floats,
          std::int64_t tiles)
      : keys(aligned_floats(static_cast<std::size_t>(blocks * key_floats))),
        scores(aligned_floats(static_cast<std::size_t>(kMaxRows * kScoreStride))),
        values(aligned_floats(static_cast<std::size_t>(blocks * value_floats))),
        ahead(tiles) {}

  Floats keys;    // [blocks][key_floats] packed keys of a step
  Floats scores;  // [kMaxRows][kScoreStride]
  Floats values;  // [blocks][value_floats] packed values of a step
  std::vector<Run> runs;
  std::unique_ptr<detail::MatrixScratch> matrix;
  Floats queries;            // [kMaxRows][head_dim] for steps that the matrix unit cannot take
  detail::FetchAhead ahead;  // the memory that the step after the next one reads
};

std::int64_t whole_vectors(std::int64_t head_dim) {
  const std::int64_t lanes = detail::value_lanes();
  return (head_dim + lanes - 1) / lanes * lanes;
}

class Attention {
 public:
  Attention(const AttentionInputs& inputs,
            const CpuPlan& plan,
            const Threads& threads,
            MatrixUnit unit,
            AttentionOutput& output)
      : inputs_(inputs),
        plan_(plan),
        threads_(threads),
        output_(output),
        unit_(MatrixTiles::serve(inputs, unit) ? unit : MatrixUnit::kNone),
        matrix_(unit_ == MatrixUnit::kNone ? nullptr
                                           : std::make_unique<MatrixTiles>(inputs, unit_)),
        value_dim_(matrix_ ? matrix_->value_dim() : whole_vectors(inputs.shape.head_dim)),
        places_(inputs, plan),
        vectors_(inputs, plan, places_, value_dim_),
        ready_blocks_(matrix_ ? kMatrixReady : vectors_.step_blocks()),
        floats_(inputs, value_dim_),
        streams_output_(output.out.size() * sizeof(float) >= kStreamedOutputBytes &&
                        inputs.shape.head_dim % detail::value_lanes() == 0),
        scratch_(static_cast<std::size_t>(threads.count())),
        shared_(inputs, plan, form(), threads.count()),
        parts_(inputs.shape.head_dim) {}

  void run() {
    const auto row_blocks = static_cast<std::int64_t>(plan_.row_blocks.size());
    for (Chunk chunk; chunk.end < row_blocks;) {
      chunk = shared_.chunk_from(chunk.end);
      shared_.prepare(chunk, threads_);
      run_chunk(chunk);
    }
  }

 private:
  const TileForm& form() const {
    return matrix_ ? static_cast<const TileForm&>(*matrix_) : floats_;
  }

  std::unique_ptr<Scratch> make_scratch() const {
    const std::int64_t query_floats =
        matrix_ ? matrix_->query_floats() : kMaxRows * inputs_.shape.head_dim;
    auto scratch = std::make_unique<Scratch>(
        ready_blocks_, std::max(form().key_floats(), floats_.key_floats()),
        std::max(form().value_floats(), floats_.value_floats()), shared_.tiles());
    if (matrix_) scratch->matrix = std::make_unique<detail::MatrixScratch>();
    for (int i = 0; i < detail::kGangTasks; ++i) {
      scratch->runs.emplace_back(query_floats, value_dim_);
    }
    return scratch;
  }

  void run_chunk(const Chunk& chunk) {
    const detail::TaskList list = detail::make_tasks(plan_, chunk);
    const std::vector<std::span<const Task>> gangs =
        detail::make_gangs(list, plan_, threads_.count());
    parts_.resize(list.parts, list.part_rows);
    threads_.for_each(static_cast<std::int64_t>(gangs.size()), [&](std::int64_t g, int worker) {
      auto& scratch = scratch_[static_cast<std::size_t>(worker)];
      if (!scratch) scratch = make_scratch();
      const auto at = static_cast<std::size_t>(g);
      const std::size_t after = at + static_cast<std::size_t>(threads_.count());
      run_gang(gangs[at], after < gangs.size() ? gangs[after] : std::span<const Task>(), *scratch);
    });
    const auto merges = static_cast<std::int64_t>(list.merges.size());
    const bool is_small = list.parts * list.part_rows * inputs_.shape.head_dim < kSmallMerge;
    (is_small ? Threads(1) : threads_).for_each(merges, [&](std::int64_t m, int) {
      merge(list.merges[static_cast<std::size_t>(m)]);
    });
  }

  void merge(const detail::Merge& merge) {
    const RowBlock& rows = places_.row_block(merge.row_block);
    for (std::int64_t r = 0; r < rows.rows(); ++r) {
      const std::int64_t row = places_.output_row(rows, r);
      output_.lse[static_cast<std::size_t>(row)] = parts_.merge(
          merge.first_part, merge.parts, r, output_.out.data() + row * inputs_.shape.head_dim);
    }
  }

  // Packs key block number `slot` of a step into a form, unless it is packed already.
  StepBlock make_ready(const TileForm& wanted,
                       const RowBlock& rows,
                       const KeyBlock& block,
                       std::int64_t slot,
                       Scratch& scratch) const {
    const bool is_shared_form = &wanted == &form();
    const detail::SharedTiles::Tile shared =
        is_shared_form ? shared_.find(rows, block) : detail::SharedTiles::Tile{};
    const auto count = static_cast<std::size_t>(block.count);
    StepBlock ready{.block = &block, .keys = shared.keys, .values = shared.values};
    if (ready.keys == nullptr) {
      float* target = scratch.keys.get() + slot * wanted.key_floats();
      wanted.make_keys({places_.key_rows(inputs_.k, rows, block).data(), count}, target);
      ready.keys = target;
    }
    if (ready.values == nullptr && wanted.value_floats() > 0) {
      float* target = scratch.values.get() + slot * wanted.value_floats();
      wanted.make_values({places_.key_rows(inputs_.v, rows, block).data(), count}, target);
      ready.values = target;
    }
    if (block.bits_offset >= 0) {
      ready.words = plan_.bits.data() + static_cast<std::size_t>(block.bits_offset);
    }
    ready.tail = sdk::low_bits(block.count);
    return ready;
  }

  // Runs tasks that read the same keys, in turns, so that the keys of one are in the cache for the
  // next. Each task takes the same steps as it would alone. after: the tasks that this worker is
  // likely to run next.
  void run_gang(std::span<const Task> tasks, std::span<const Task> after, Scratch& scratch) {
    const detail::MatrixSession session(unit_);
    const std::span<Run> runs(scratch.runs.data(), tasks.size());
    for (std::size_t i = 0; i < tasks.size(); ++i) start(tasks[i], runs[i]);
    scratch.ahead.start();
    const std::int64_t turn_keys =
        matrix_
            ? kMatrixTurnBytes * kPackedKeys /
                  ((form().key_floats() + form().value_floats()) * static_cast<int>(sizeof(float)))
            : kTurnBytes /
                  ((inputs_.shape.head_dim + value_dim_) * static_cast<int>(sizeof(float)));
    while (std::any_of(runs.begin(), runs.end(), [](const Run& run) { return !run.is_done(); })) {
      std::int64_t end_key = inputs_.shape.key_len + turn_keys;
      for (const Run& run : runs) {
        if (!run.is_done()) end_key = std::min(end_key, next_key(run) + turn_keys);
      }
      for (std::size_t i = 0; i < runs.size(); ++i) {
        while (!runs[i].is_done() && next_key(runs[i]) < end_key) {
          look_ahead(runs, i, after, scratch.ahead);
          advance(runs[i], scratch);
        }
      }
    }
    for (const Run& run : runs) store(run);
  }

  // Tells `ahead` which memory is read after the next step of runs[i].
  void look_ahead(std::span<const Run> runs,
                  std::size_t i,
                  std::span<const Task> after,
                  detail::FetchAhead& ahead) const {
    const Run& run = runs[i];
    const std::int64_t next = std::min(run.next + ready_blocks_, run.task->blocks_end);
    ahead.clear();
    if (next < run.task->blocks_end) {
      note_blocks(*run.task, next, ahead);
    } else {
      const auto later = std::find_if(runs.begin() + static_cast<std::ptrdiff_t>(i) + 1, runs.end(),
                                      [](const Run& other) { return !other.is_done(); });
      if (later != runs.end()) {
        note_blocks(*later->task, later->next, ahead);
      } else if (!after.empty()) {
        note_blocks(after.front(), after.front().blocks_begin, ahead);
      }
      if (i < after.size()) {
        const RowBlock& rows = places_.row_block(after[i].row_block);
        if (!detail::few_rows_serve(inputs_, rows)) ahead.add_queries(inputs_, rows);
      }
    }
    const std::int64_t rows = places_.row_block(run.task->row_block).rows();
    const std::int64_t blocks = next - run.next;
    ahead.deal(matrix_ ? whole(rows, detail::kMatrixRows) * whole(blocks, detail::kMatrixBlocks)
                       : 2 * blocks * whole(rows, VectorSteps::kPieceRows));
  }

  static std::int64_t whole(std::int64_t count, std::int64_t size) {
    return (count + size - 1) / size;
  }

  // Tells `ahead` which key blocks the step of a task reads that begins at key block `begin`.
  void note_blocks(const Task& task, std::int64_t begin, detail::FetchAhead& ahead) const {
    const RowBlock& rows = places_.row_block(task.row_block);
    if (detail::few_rows_serve(inputs_, rows)) return;  // fetches for itself
    ahead.add_blocks(inputs_, plan_, shared_, rows, begin,
                     std::min(begin + ready_blocks_, task.blocks_end));
  }

  // Begins a task. A row block that the few-rows kernel serves is finished here.
  void start(const Task& task, Run& run) const {
    const RowBlock& rows = places_.row_block(task.row_block);
    run.task = &task;
    run.next = task.blocks_begin;
    if (detail::few_rows_serve(inputs_, rows)) {
      detail::attend_few_rows(inputs_, plan_, rows, task.blocks_begin, task.blocks_end, run.state,
                              run.out.get(), value_dim_);
      run.next = task.blocks_end;
      return;
    }
    if (!run.is_done()) {
      if (matrix_) {
        const auto at = places_.query_rows(rows);
        matrix_->load_queries({at.data(), static_cast<std::size_t>(rows.rows())},
                              run.queries.get());
      } else {
        places_.load_queries(rows, run.queries.get());
      }
      std::fill_n(run.out.get(), kMaxRows * value_dim_, 0.0F);
    }
    std::fill_n(run.state.top, rows.rows(), kNoKeys);
    std::fill_n(run.state.sum, rows.rows(), 0.0);
  }

  std::int64_t next_key(const Run& run) const { return places_.key_block(run.next).first_key; }

  // Attends to the next key blocks of a run.
  void advance(Run& run, Scratch& scratch) const {
    const RowBlock& rows = places_.row_block(run.task->row_block);
    const std::int64_t size = std::min(ready_blocks_, run.task->blocks_end - run.next);
    StepBlock blocks[kMostReady];
    const auto make_all = [&](const TileForm& wanted) {
      for (std::int64_t b = 0; b < size; ++b) {
        const KeyBlock& block = places_.key_block(run.next + b);
        blocks[b] = make_ready(wanted, rows, block, b, scratch);
      }
    };
    make_all(form());
    const std::span<const StepBlock> all(blocks, static_cast<std::size_t>(size));
    const float* queries = run.queries.get();
    const bool by_matrix = matrix_ && fit_the_matrix(queries, all);
    if (matrix_ && !by_matrix) {
      make_all(floats_);
      if (!scratch.queries) {
        scratch.queries =
            aligned_floats(static_cast<std::size_t>(kMaxRows * inputs_.shape.head_dim));
      }
      places_.load_queries(rows, scratch.queries.get());
      queries = scratch.queries.get();
    }
    run.next += size;
    if (by_matrix) return steps_by_matrix(all, run, scratch);
    for (std::int64_t first = 0; first < size; first += vectors_.step_blocks()) {
      vectors_.run(
          rows, queries,
          all.subspan(static_cast<std::size_t>(first),
                      static_cast<std::size_t>(std::min(vectors_.step_blocks(), size - first))),
          scratch.scores.get(), run.state, run.out.get(), scratch.ahead);
    }
  }

  static bool fit_the_matrix(const float* queries, std::span<const StepBlock> blocks) {
    return MatrixTiles::fits(queries) &&
           std::all_of(blocks.begin(), blocks.end(), [](const StepBlock& block) {
             return MatrixTiles::fits(block.keys) && MatrixTiles::fits(block.values);
           });
  }

  // Attends to packed key blocks by the matrix unit.
  void steps_by_matrix(std::span<const StepBlock> blocks, Run& run, Scratch& scratch) const {
    const auto block_rows = static_cast<int>(places_.row_block(run.task->row_block).rows());
    MatrixStep steps[kMostMatrixSteps];
    const KeyBlock* key_blocks[kMostMatrixSteps][detail::kMatrixBlocks];
    std::size_t count = 0;
    while (!blocks.empty()) {
      const auto here = blocks.first(std::min<std::size_t>(detail::kMatrixBlocks, blocks.size()));
      blocks = blocks.subspan(here.size());
      for (int r = 0; r < block_rows; r += detail::kMatrixRows) {
        MatrixStep& step = steps[count];
        step.row = r;
        step.rows = std::min(detail::kMatrixRows, block_rows - r);
        const TouchedBlocks touched(here, r, step.rows);
        if (touched.count == 0) continue;
        step.blocks = touched.count;
        for (int b = 0; b < touched.count; ++b) {
          step.keys[b] = MatrixTiles::tiles_of(touched.blocks[b]->keys);
          step.values[b] = MatrixTiles::tiles_of(touched.blocks[b]->values);
          step.words[b] = touched.words[b];
          step.tails[b] = touched.tails[b];
          key_blocks[count][b] = touched.blocks[b]->block;
        }
        ++count;
      }
    }
    const auto weigh = [&](std::size_t s, float* scores) {
      scratch.ahead.fetch_piece();
      for (int b = 0; b < steps[s].blocks; ++b) {
        detail::weigh_samples(plan_, *key_blocks[s][b], steps[s].row, steps[s].rows,
                              matrix_->unit(), scores + b * kPackedKeys);
      }
    };
    matrix_->run(run.queries.get(), {steps, count}, std::cref(weigh), run.state, run.out.get(),
                 *scratch.matrix);
  }

  void store(const Run& run) {
    const Task& task = *run.task;
    const RowBlock& rows = places_.row_block(task.row_block);
    const std::int64_t dim = inputs_.shape.head_dim;
    for (std::int64_t r = 0; r < rows.rows(); ++r) {
      const std::int64_t row = places_.output_row(rows, r);
      const double sum = run.state.sum[r];
      const bool none = run.state.top[r] == kNoKeys;
      const double top = run.state.top[r] * std::numbers::ln2;
      float* out = nullptr;
      if (task.part < 0) {
        out = output_.out.data() + row * dim;
        output_.lse[static_cast<std::size_t>(row)] =
            none ? kNoKeys : static_cast<float>(top) + std::log(static_cast<float>(sum));
      } else {
        out = parts_.out(task.part, r);
        parts_.lse(task.part, r) = none ? kNoKeys : top + std::log(sum);
      }
      if (none) {
        std::fill_n(out, dim, 0.0F);
      } else if (task.part < 0 && streams_output_) {
        detail::scale_past_caches(run.out.get() + r * value_dim_, dim,
                                  static_cast<float>(1.0 / sum), out);
      } else {
        detail::widen_scaled(DType::kFloat32, run.out.get() + r * value_dim_, dim,
                             static_cast<float>(1.0 / sum), out);
      }
    }
    // Streaming stores are in no order with the stores that follow.
    if (streams_output_) hwy::FlushStream();
  }

  const AttentionInputs& inputs_;
  const CpuPlan& plan_;
  const Threads& threads_;
  AttentionOutput& output_;
  MatrixUnit unit_;
  std::unique_ptr<const MatrixTiles> matrix_;  // nullptr: vectors multiply
  std::int64_t value_dim_;                     // floats of a row of sums
  detail::RowPlaces places_;
  detail::VectorSteps vectors_;
  std::int64_t ready_blocks_;  // key blocks that are packed at once
  FloatTiles floats_;
  bool streams_output_;
  std::vector<std::unique_ptr<Scratch>> scratch_;  // by worker
  detail::SharedTiles shared_;
  detail::PartResults parts_;
};

}  // namespace

void detail::attend_with(MatrixUnit unit,
                         const AttentionInputs& inputs,
                         const CpuPlan& plan,
                         const Threads& threads,
                         AttentionOutput& output) {
  inputs.validate();
  if (plan.shape != inputs.shape) {
    throw ShapeError(fmt::format("the plan is for shape {}, the inputs have shape {}",
                                 plan.shape.to_string(), inputs.shape.to_string()));
  }
  output.resize(inputs.shape);
  Attention(inputs, plan, threads, unit, output).run();
}

void attend(const AttentionInputs& inputs,
            const CpuPlan& plan,
            const Threads& threads,
            AttentionOutput& output) {
  const MatrixUnit unit =
      MatrixTiles::pay(inputs, plan) ? detail::matrix_unit_in_use() : MatrixUnit::kNone;
  detail::attend_with(unit, inputs, plan, threads, output);
}

}  // namespace maskerade
