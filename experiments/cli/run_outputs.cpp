#include "experiments/cli/run_outputs.hpp"

#include <fmt/format.h>

#include "framework/base/error.hpp"

namespace maskerade {

RunOutputs::RunOutputs(const OutputPaths& paths) {
  if (paths.resumes && paths.folder.empty()) {
    throw ConfigError({}, "--resume: name the folder of the earlier run with --out");
  }
  if (!paths.json.empty() && paths.json == paths.csv) {
    throw ConfigError({.file = paths.csv}, "is named by both --json and --csv; name two files");
  }
  if (!paths.folder.empty()) {
    store_.emplace(paths.folder);
    const std::int64_t cells = store_->cell_count();
    if (cells > 0 && !paths.resumes) {
      throw ConfigError({.file = store_->file().string()},
                        fmt::format("holds {} cell{} of an earlier run; add --resume to keep them "
                                    "and run what is missing, or name another folder with --out",
                                    cells, cells == 1 ? "" : "s"));
    }
  }
  if (!paths.json.empty()) json_.emplace(paths.json);
  if (!paths.csv.empty()) csv_.emplace(paths.csv);
}

void RunOutputs::write(const CellResult& finished) {
  if (store_) store_->write(finished);
  write_exports(finished);
}

void RunOutputs::keep(const CellResult& kept) {
  if (store_) store_->renumber(kept.key, kept.cell);
  write_exports(kept);
}

void RunOutputs::write_exports(const CellResult& result) {
  if (json_) json_->write(result);
  if (csv_) csv_->write(result);
}

}  // namespace maskerade
