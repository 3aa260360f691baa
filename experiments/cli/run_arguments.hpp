#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/cli/run_outputs.hpp"
#include "experiments/run/job_choice.hpp"

namespace maskerade {

// The command line of `run`.
struct RunArguments {
  std::string file;
  OutputPaths outputs;
  bool dry_run = false;   // list the cells, measure nothing
  bool no_peaks = false;  // do not measure the machine's peaks
  bool quiet = false;     // print what follows the tables alone
  bool strict = false;    // noisy cells are errors
  int threads = 0;        // 0: all processors
  std::int64_t chunk_rows = 1024;
  std::vector<std::string> assignments;  // of --set: KEY=VALUE
  std::vector<std::string> plugins;      // of --plugin: files
  JobChoice choice;
};

}  // namespace maskerade
