#include "experiments/cli/run_outputs.hpp"

#include <fmt/format.h>

#include <system_error>

#include "framework/base/error.hpp"

namespace maskerade {

namespace {

namespace fs = std::filesystem;

bool is_same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error) && !error) return true;
  return fs::weakly_canonical(fs::absolute(a), error) ==
         fs::weakly_canonical(fs::absolute(b), error);
}

// An export that is asked for, and the option that asks.
struct Export {
  fs::path file;
  const char* option;
};

void check_exports(const OutputPaths& paths, const std::vector<fs::path>& files_read) {
  std::vector<Export> exports;
  if (!paths.json.empty()) exports.push_back({paths.json, "--json"});
  if (!paths.csv.empty()) exports.push_back({paths.csv, "--csv"});
  if (exports.size() == 2 && is_same_file(exports[0].file, exports[1].file)) {
    throw ConfigError({.file = paths.csv}, "is named by both --json and --csv; name two files");
  }
  for (const Export& wanted : exports) {
    const auto refuse = [&](const std::string& what) {
      throw ConfigError({.file = wanted.file.string()},
                        fmt::format("{}; name another file with {}", what, wanted.option));
    };
    for (const fs::path& read : files_read) {
      if (is_same_file(wanted.file, read)) refuse("is read by this run and would be replaced");
    }
    for (const fs::path& held : ResultStore::files_of(paths.folder)) {
      if (!paths.folder.empty() && is_same_file(wanted.file, held)) {
        refuse("belongs to the results of --out");
      }
    }
    RecordFile::check_writable(wanted.file);
  }
}

}  // namespace

std::vector<fs::path> files_read_by(const Experiment& experiment) {
  std::vector<fs::path> files = {experiment.file};
  for (const WorkloadSpec& workload : experiment.workloads) {
    for (const fs::path& file : workload.source->files()) files.push_back(file);
  }
  const auto add_files_of = [&](const std::vector<MaskerUse>& maskers) {
    for (const MaskerUse& use : maskers) {
      files.push_back(use.type->library());
      const maskerade_masker_descriptor& masker = use.type->descriptor();
      for (std::size_t i = 0; i < masker.parameter_count; ++i) {
        for (const std::string& file : files_of(masker.parameters[i], use.arguments->view()[i])) {
          files.emplace_back(file);
        }
      }
    }
  };
  for (const PipelineSpec& pipeline : experiment.pipelines) {
    add_files_of(pipeline.maskers);
    for (const RouteRule& rule : pipeline.overrides) add_files_of(rule.maskers);
  }
  return files;
}

RunOutputs::RunOutputs(const OutputPaths& paths, const std::vector<fs::path>& files_read) {
  if (paths.resumes && paths.folder.empty()) {
    throw ConfigError({}, "--resume: name the folder of the earlier run with --out");
  }
  check_exports(paths, files_read);
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

std::int64_t RunOutputs::finish() { return store_ ? store_->finish_run() : 0; }

void RunOutputs::write_exports(const CellResult& result) {
  if (json_) json_->write(result);
  if (csv_) csv_->write(result);
}

}  // namespace maskerade
