#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attention/cpu/cpu_plan.hpp"
#include "attention/cpu/detail/shared_tiles.hpp"

namespace maskerade::detail {

// A run of one row block's key blocks. part: where its result goes; -1: to the output.
struct Task {
  std::int64_t row_block = 0;
  std::int64_t blocks_begin = 0;
  std::int64_t blocks_end = 0;
  std::int64_t part = -1;
};

// A row block whose parts are to be united.
struct Merge {
  std::int64_t row_block = 0;
  std::int64_t first_part = 0;
  std::int64_t parts = 0;
  std::int64_t part_rows = 0;  // of the row blocks that are split, at most
};

// The work of a chunk. It depends on the plan alone, not on the thread count.
struct TaskList {
  std::vector<Task> tasks;  // to be started in this order
  std::vector<Merge> merges;
  std::int64_t parts = 0;
  std::int64_t part_rows = 0;  // of the row blocks that are split, at most
};
TaskList make_tasks(const CpuPlan& plan, const Chunk& chunk);

// Tasks that one worker runs together at most.
inline constexpr int kGangTasks = 4;

// The tasks in runs of one (batch, kv head) each, short enough to keep all workers busy. What a
// task gives does not depend on its gang.
std::vector<std::span<const Task>> make_gangs(const TaskList& list,
                                              const CpuPlan& plan,
                                              int workers);

}  // namespace maskerade::detail
