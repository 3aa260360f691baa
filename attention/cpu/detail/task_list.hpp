#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/shared_tiles.hpp"

namespace maskerade::detail {

// What a worker computes at once: attention of a row block over key blocks [blocks_begin,
// blocks_end) of the plan, all of the row block's or a part of them.
struct Task {
  std::int64_t row_block = 0;
  std::int64_t blocks_begin = 0;
  std::int64_t blocks_end = 0;
  std::int64_t part = -1;  // in PartResults; -1: the result goes to the output
};

// A row block that was split: parts first_part ... first_part + parts - 1 must be merged into its
// output.
struct Merge {
  std::int64_t row_block = 0;
  std::int64_t first_part = 0;
  std::int64_t parts = 0;
};

// The tasks of a chunk, and the merges after them. Depends on the plan alone, not on the thread
// count.
struct TaskList {
  std::vector<Task> tasks;  // in the order in which they should start
  std::vector<Merge> merges;
  std::int64_t parts = 0;      // of all merges
  std::int64_t part_rows = 0;  // the most rows of a row block that was split
};
TaskList make_tasks(const CpuPlan& plan, const Chunk& chunk);

// The most tasks of a gang.
inline constexpr int kGangTasks = 4;

// Divides the tasks, in order, into gangs. A gang is a run of tasks of one group that one worker
// computes in turns, so that keys which one task has read are in the cache for the next; gangs are
// short enough to keep all workers busy. A task's result does not depend on its gang. The spans
// point into `list`.
std::vector<std::span<const Task>> make_gangs(const TaskList& list,
                                              const CpuPlan& plan,
                                              int workers);

}  // namespace maskerade::detail
