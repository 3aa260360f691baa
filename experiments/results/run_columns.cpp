// The columns of the tables of runs and of cells that have begun.
#include <vector>

#include "experiments/results/columns.hpp"
#include "experiments/results/detail/column_list.hpp"

namespace maskerade {
namespace {

std::vector<Column<RunRecord>> make_run_columns() {
  detail::ColumnList<RunRecord> list;
  list.add({"run", "", "Number of the run in this file, from 1."}, &RunRecord::run).role =
      ColumnRole::kCellKey;
  list.add({"experiment", "", "The experiment's name."}, &RunRecord::experiment);
  list.add({"file", "", "The experiment file, as the command line named it."}, &RunRecord::file);
  list.add({"yaml", "", "The text of that file."}, &RunRecord::yaml);
  list.add({"assignments", "", "What `--set` changed in it."}, &RunRecord::assignments);
  list.add({"cell_command", "",
            "The command that runs one of its cells alone, up to the cell's number."},
           &RunRecord::cell_command);
  list.add({"started_at", "", "When the run began, in UTC."}, &RunRecord::started_at);
  list.add({"host", "", "The machine's name in its network."}, &RunRecord::host);
  list.add({"process", "", "Number of the process."}, &RunRecord::process);
  list.add({"machine", "", "The processor and its instruction set."}, &RunRecord::machine);
  list.add({"threads", "", "Worker threads of the CPU."}, &RunRecord::threads);
  list.add({"load_average", "processors",
            "The machine's load average over one minute when the run began."},
           &RunRecord::load_average);
  list.add({"program_version", "", "The program's version and the first digits of its build ID."},
           &RunRecord::program_version);
  list.add({"commit", "", "The commit of the program's source, or `unknown`."}, &RunRecord::commit);
  list.add(
      {"tree_state", "", "Whether that source was as committed: `clean`, `changed` or `unknown`."},
      &RunRecord::tree_state);
  list.add({"compiler", "", "The compiler of the program."}, &RunRecord::compiler);
  list.add({"compiler_flags", "", "The options that it was given."}, &RunRecord::compiler_flags);
  list.add({"plugin_files", "", "Each masker with the path of its library."},
           &RunRecord::plugin_files);
  list.add({"plugin_hashes", "", "Each masker with the SHA-256 of the library that was loaded."},
           &RunRecord::plugin_hashes);
  list.add({"plugin_builds", "",
            "Each masker with what its library says of its compiler and optimisation, or "
            "`unknown`."},
           &RunRecord::plugin_builds);
  return list.take();
}

std::vector<Column<StartedCell>> make_started_columns() {
  detail::ColumnList<StartedCell> list;
  list.add({"key", "", "What the cell is known by, as in `cells`."}, &StartedCell::key).role =
      ColumnRole::kCellKey;
  list.add({"run", "", "The run that has begun it."}, &StartedCell::run);
  list.add({"cell", "", "Number of the cell in the experiment, from 0."}, &StartedCell::cell);
  list.add({"experiment", "", "The experiment's name."}, &StartedCell::experiment);
  list.add({"workload", "", "The workload's label."}, &StartedCell::workload);
  list.add({"pipeline", "", "The pipeline's label."}, &StartedCell::pipeline);
  list.add({"device", "", "`cpu` or `cuda`."}, &StartedCell::device);
  list.add({"kernel", "", "The kernel as asked for."}, &StartedCell::kernel);
  list.add({"mask_seed", "", "Seed of random maskers."}, &StartedCell::mask_seed);
  list.add({"started_at", "", "When the cell began, in UTC."}, &StartedCell::started_at);
  list.add({"maskers", "",
            "Each of its maskers with the SHA-256 of its library, whose path the run has."},
           &StartedCell::maskers);
  return list.take();
}

}  // namespace

const std::vector<Column<RunRecord>>& run_columns() {
  static const std::vector<Column<RunRecord>> kColumns = make_run_columns();
  return kColumns;
}

const std::vector<Column<StartedCell>>& started_columns() {
  static const std::vector<Column<StartedCell>> kColumns = make_started_columns();
  return kColumns;
}

}  // namespace maskerade
