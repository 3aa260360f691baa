#pragma once

#include <cstdint>
#include <vector>

#include "attention/cpu/detail/shared_tiles.hpp"
#include "attention/plan.hpp"

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
};

// The work of a chunk. It depends on the plan alone, not on the thread count.
struct TaskList {
  std::vector<Task> tasks;  // to be started in this order
  std::vector<Merge> merges;
  std::int64_t parts = 0;
};
TaskList make_tasks(const Plan& plan, const Chunk& chunk);

}  // namespace maskerade::detail
