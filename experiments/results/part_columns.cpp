// The columns of the tables of a cell's parts: its heads, its steps and its samples.
#include <vector>

#include "experiments/results/columns.hpp"
#include "experiments/results/detail/column_list.hpp"

namespace maskerade {
namespace {

constexpr const char* kRecallMeaning =
    "Share of the dense softmax mass on the keys selected for certain, mean over rows.";
constexpr const char* kErrorMeaning =
    "Euclidean norm of the output's difference from dense attention, over that of dense.";

std::vector<Column<HeadRow>> make_head_columns() {
  detail::ColumnList<HeadRow> list;
  const auto head = &HeadRow::head;
  list.add({"key", "", "Key of the cell that the head is of."}, &HeadRow::key).role =
      ColumnRole::kCellKey;
  list.add({"layer", "", "The cell's `layer`."}, &HeadRow::layer).role = ColumnRole::kPosition;
  list.add({"batch", "", "The sequence in the batch, from 0."}, head, &HeadResult::batch).role =
      ColumnRole::kPosition;
  list.add({"head", "", "The query head, from 0."}, head, &HeadResult::head).role =
      ColumnRole::kPosition;
  list.add({"density", "share", "Active entries over visible entries; 0 where none is visible."},
           head, &HeadResult::density);
  list.add({"recall", "share", kRecallMeaning}, head, &HeadResult::recall);
  list.add({"rel_l2_error", "share", kErrorMeaning}, head, &HeadResult::rel_l2_error);
  list.add_optional_text({"route", "",
                          "What selected for the head in the pipeline's place; null where nothing "
                          "did."},
                         head, &HeadResult::route);
  return list.take();
}

std::vector<Column<StepRow>> make_step_columns() {
  detail::ColumnList<StepRow> list;
  const auto step = &StepRow::step;
  list.add({"key", "", "Key of the cell, a decode trace."}, &StepRow::key).role =
      ColumnRole::kCellKey;
  list.add({"step", "", "The step, from 0."}, step, &StepResult::step).role = ColumnRole::kPosition;
  list.add({"key_len", "tokens", "Keys that are there, the appended one included."}, step,
           &StepResult::key_len);
  list.add({"append_ms", "ms", "Median time of giving the step's key to the indexes."}, step,
           &StepResult::append_ms);
  list.add({"select_ms", "ms", "Median time of selecting."}, step, &StepResult::select_ms);
  list.add({"plan_ms", "ms", "Median time of turning the mask into work for a kernel."}, step,
           &StepResult::plan_ms);
  list.add({"attend_ms", "ms", "Median time of attending over the mask."}, step,
           &StepResult::attend_ms);
  list.add({"dense_ms", "ms", "Median time of the dense reference over the same keys."}, step,
           &StepResult::dense_ms);
  list.add({"repetitions", "", "How often the step was repeated."}, step, &StepResult::repetitions);
  list.add({"density", "share", "Active entries over visible entries, of all heads."}, step,
           &StepResult::density);
  list.add({"recall", "share", kRecallMeaning}, step, &StepResult::recall);
  list.add({"rel_l2_error", "share", kErrorMeaning}, step, &StepResult::rel_l2_error);
  list.add({"keys_scored", "keys", "Keys that selecting scored, over all rows."}, step,
           &StepResult::keys_scored);
  list.add({"select_bytes_read", "bytes", "What selecting read."}, step,
           &StepResult::select_bytes_read);
  list.add({"index_bytes", "bytes", "Size of the maskers' indexes, the step's key included."}, step,
           &StepResult::index_bytes);
  list.add({"kv_bytes_touched", "bytes",
            "K and V that attending read, where rows share a read once for them all."},
           step, &StepResult::kv_bytes_touched);
  return list.take();
}

std::vector<Column<SeriesRow>> make_series_columns() {
  detail::ColumnList<SeriesRow> list;
  const auto series = &SeriesRow::series;
  list.add({"key", "", "Key of the cell that was repeated."}, &SeriesRow::key).role =
      ColumnRole::kCellKey;
  list.add({"stage", "",
            "`prepare`, `select`, `plan`, `attend`, `total` or `dense`; of the dense reference "
            "`dense` alone."},
           series, &StageSeries::stage)
      .role = ColumnRole::kPosition;
  list.add({"stride", "",
            "Of that many repetitions one is kept, so that there are at most " +
                std::to_string(kMostSamples) + "."},
           series, &StageSeries::stride);
  list.add({"times_ms", "ms",
            "A list of the stage's times, to the nanosecond, in the order of the repetitions."},
           series, &StageSeries::times_ms);
  return list.take();
}

}  // namespace

const std::vector<Column<HeadRow>>& head_columns() {
  static const std::vector<Column<HeadRow>> kColumns = make_head_columns();
  return kColumns;
}

const std::vector<Column<StepRow>>& step_columns() {
  static const std::vector<Column<StepRow>> kColumns = make_step_columns();
  return kColumns;
}

const std::vector<Column<SeriesRow>>& series_columns() {
  static const std::vector<Column<SeriesRow>> kColumns = make_series_columns();
  return kColumns;
}

}  // namespace maskerade
