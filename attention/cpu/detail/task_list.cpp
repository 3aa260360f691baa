#include "attention/cpu/detail/task_list.hpp"

#include <algorithm>
#include <numeric>

namespace maskerade::detail {
namespace {

// Row blocks are split until a plan has about kSplitTasks tasks, but no task gets fewer than
// kSplitBlocks key blocks by it.
constexpr std::int64_t kSplitTasks = 128;
constexpr std::int64_t kSplitBlocks = 16;
// The least number of gangs for each worker, so that all workers end at about the same time.
constexpr std::size_t kGangsPerWorker = 8;

}  // namespace

TaskList make_tasks(const CpuPlan& plan, const Chunk& chunk) {
  const auto row_block = [&](std::int64_t r) -> const RowBlock& {
    return plan.row_blocks[static_cast<std::size_t>(r)];
  };
  const auto cost = [&](std::int64_t r) {
    return (row_block(r).blocks_end - row_block(r).blocks_begin) * row_block(r).rows();
  };
  // Rationale: one group after the other, so that tasks that run at the same time read the same
  // keys; within a group costly row blocks first, so that the last tasks are short.
  std::vector<std::int64_t> order(static_cast<std::size_t>(chunk.end - chunk.begin));
  std::iota(order.begin(), order.end(), chunk.begin);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    const std::int64_t group_a = group_of(row_block(a), plan.shape);
    const std::int64_t group_b = group_of(row_block(b), plan.shape);
    return group_a != group_b ? group_a < group_b : cost(a) > cost(b);
  });

  const auto row_blocks = static_cast<std::int64_t>(plan.row_blocks.size());
  const std::int64_t most_splits = (kSplitTasks + row_blocks - 1) / row_blocks;
  TaskList list;
  for (const std::int64_t r : order) {
    const RowBlock& rows = row_block(r);
    const std::int64_t blocks = rows.blocks_end - rows.blocks_begin;
    const std::int64_t splits = std::clamp<std::int64_t>(blocks / kSplitBlocks, 1, most_splits);
    if (splits > 1) {
      list.merges.push_back({r, list.parts, splits});
      list.part_rows = std::max(list.part_rows, rows.rows());
    }
    for (std::int64_t s = 0; s < splits; ++s) {
      list.tasks.push_back({r, rows.blocks_begin + blocks * s / splits,
                            rows.blocks_begin + blocks * (s + 1) / splits,
                            splits > 1 ? list.parts++ : -1});
    }
  }
  return list;
}

std::vector<std::span<const Task>> make_gangs(const TaskList& list,
                                              const CpuPlan& plan,
                                              int workers) {
  const std::span<const Task> tasks(list.tasks);
  const auto group = [&](const Task& task) {
    return group_of(plan.row_blocks[static_cast<std::size_t>(task.row_block)], plan.shape);
  };
  const std::size_t most = std::clamp<std::size_t>(
      tasks.size() / (kGangsPerWorker * static_cast<std::size_t>(workers)), 1, kGangTasks);
  std::vector<std::span<const Task>> gangs;
  for (std::size_t begin = 0; begin < tasks.size();) {
    std::size_t end = begin + 1;
    while (end < tasks.size() && end - begin < most && tasks[begin].part < 0 &&
           tasks[end].part < 0 && group(tasks[end]) == group(tasks[begin])) {
      ++end;
    }
    gangs.push_back(tasks.subspan(begin, end - begin));
    begin = end;
  }
  return gangs;
}

}  // namespace maskerade::detail
