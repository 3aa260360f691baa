#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// One run of the program into a results database: all that its cells have in common and that a
// reader needs to judge them or to make them again.
struct RunRecord {
  std::int64_t run = 0;  // number of the run in its database, from 1; given by the ResultStore
  std::string experiment;
  std::string file;          // the experiment file, as the command line named it
  std::string yaml;          // the text of that file
  NamedTexts assignments;    // of --set: key and value
  std::string cell_command;  // runs one cell of it alone, once the cell's number is put after it
  std::string started_at;    // UTC: "2025-01-31T12:00:00Z"
  std::string host;          // the machine's name in its network
  std::int64_t process = 0;
  std::string machine;  // the processor and its instruction set
  int threads = 1;
  std::optional<double> load_average = {};  // over one minute, when the run began
  std::string program_version;
  std::string commit;      // of the program's source; "unknown"
  std::string tree_state;  // of that source: "clean", "changed" or "unknown"
  std::string compiler;
  std::string compiler_flags;
  NamedTexts plugin_files;  // masker id and path of its library, for every masker of the experiment
  NamedTexts plugin_hashes;  // masker id and SHA-256 of the bytes that were loaded
  NamedTexts plugin_builds;  // masker id and what its library says of its compiler
};

// A cell that a run has begun and not ended.
struct StartedCell {
  std::string key;
  std::int64_t run = 0;
  std::int64_t cell = 0;  // its number in the experiment
  std::string experiment;
  std::string workload;
  std::string pipeline;
  std::string device;
  std::string kernel;
  std::optional<std::uint64_t> mask_seed = {};
  std::string started_at;   // as RunRecord::started_at
  NamedTexts maskers;       // masker id and SHA-256 of its library, whose path the run has
  bool is_running = false;  // whether the process of the run still lives; not stored
};

// The present time as those texts have it.
std::string utc_now();

}  // namespace maskerade
