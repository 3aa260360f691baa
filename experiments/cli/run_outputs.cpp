#include "experiments/cli/run_outputs.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "experiments/cli/commands.hpp"
#include "framework/base/error.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

// What no export may replace.
std::vector<ProtectedFile> protected_files_of(const OutputPaths& paths,
                                              const std::vector<fs::path>& files_read) {
  std::vector<ProtectedFile> files;
  for (const fs::path& read : files_read) {
    files.push_back({read, "is read by this run and would be replaced"});
  }
  if (paths.folder.empty()) return files;
  std::vector<fs::path> databases = ResultStore::files_in(paths.folder);
  databases.push_back(ResultStore::file_of(paths.folder, paths.shard));
  for (const fs::path& database : databases) {
    for (const fs::path& held : database_files(database)) {
      files.push_back({held, "belongs to the results of --out"});
    }
  }
  return files;
}

}  // namespace

std::vector<fs::path> files_read_by(const Experiment& experiment) {
  std::vector<fs::path> files = {experiment.file};
  for (const WorkloadSpec& workload : experiment.workloads) {
    for (const fs::path& file : workload.source->files()) files.push_back(file);
  }
  for (const PipelineSpec& pipeline : experiment.pipelines) {
    for (const MaskerUse* use : maskers_of(pipeline)) {
      files.push_back(use->type->library());
      const maskerade_masker_descriptor& masker = use->type->descriptor();
      for (std::size_t i = 0; i < masker.parameter_count; ++i) {
        for (const std::string& file : files_of(masker.parameters[i], use->arguments->view()[i])) {
          files.emplace_back(file);
        }
      }
    }
  }
  return files;
}

RunOutputs::RunOutputs(const OutputPaths& paths,
                       const std::vector<fs::path>& files_read,
                       const RunRecord& run)
    : experiment_(run.experiment), retries_failed_(paths.retries_failed) {
  for (const auto& [is_given, option] :
       {std::pair(paths.resumes, "--resume"), std::pair(paths.retries_failed, "--retry-failed"),
        std::pair(paths.shard.has_value(), "--shard")}) {
    if (is_given && paths.folder.empty()) {
      throw ConfigError({}, std::string(option) + ": name the folder of the results with --out");
    }
  }
  check_exports(paths.exports, protected_files_of(paths, files_read));
  if (!paths.folder.empty()) {
    const fs::path file = ResultStore::file_of(paths.folder, paths.shard);
    store_.emplace(
        paths.folder,
        StoreOptions{.shard = paths.shard, .on_wait = [file] {
                       print_note(file.string() +
                                  ": another program holds it; waiting until it lets go");
                     }});
    const std::int64_t cells = store_->cell_count(experiment_);
    if (cells > 0 && !paths.resumes && !paths.retries_failed) {
      throw ConfigError({.file = store_->file().string()},
                        fmt::format("holds {} cell{} of an earlier run; add --resume to keep them "
                                    "and run what is missing, or name another folder with --out",
                                    cells, cells == 1 ? "" : "s"));
    }
    run_ = store_->begin_run(run);
  }
  exports_.emplace(paths.exports);
}

JobClaim RunOutputs::claim(const CellResult& described) {
  StartedCell begun{.key = described.key,
                    .cell = described.cell,
                    .experiment = described.experiment,
                    .workload = described.workload,
                    .pipeline = described.pipeline,
                    .device = described.device,
                    .kernel = described.kernel,
                    .mask_seed = described.mask_seed,
                    .started_at = utc_now(),
                    .maskers = described.plugins};
  CellClaim claim = store_->claim(begun, retries_failed_);
  return {.run = run_,
          .finished = std::move(claim.finished),
          .is_taken = claim.is_taken,
          .has_died = claim.has_died};
}

void RunOutputs::abandon(const CellResult& begun) {
  if (store_) store_->abandon(begun.key);
}

void RunOutputs::write(const CellResult& finished) {
  if (store_) store_->write(finished);
  exports_->write(finished);
}

void RunOutputs::keep(const CellResult& kept) {
  if (store_) store_->renumber(kept.key, kept.cell);
  exports_->write(kept);
}

std::int64_t RunOutputs::finish() { return store_ ? store_->finish_run(experiment_) : 0; }

}  // namespace maskerade
