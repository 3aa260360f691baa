#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/compare/alternation.hpp"

namespace maskerade {

// What of the command line of `compare --run` says what is run, and how.
struct CompareRunArguments {
  std::string program_a;
  std::string program_b;
  std::string file;
  std::string folder;  // of --out; "": results are not kept
  std::vector<std::string> assignments;
  std::vector<std::string> only;
  std::vector<std::string> plugins;    // of both
  std::vector<std::string> plugins_a;  // of the one
  std::vector<std::string> plugins_b;
  int threads = 0;              // 0: what a run takes by itself
  std::string turn;             // how long a turn repeats a cell; "": see turn_ms()
  bool shows_progress = false;  // on stderr
};

// Alternates the two programs over the cells of the experiment, each turn a `PROGRAM run FILE` of
// its own, and keeps what they measured in FOLDER/A/run-001.jsonl, FOLDER/B/run-001.jsonl and so
// on. Throws ConfigError when the experiment or the folder cannot be used, or a program ends in
// another way than with exit code 0 or 1.
compare::AlternatedRuns run_alternated(const CompareRunArguments& arguments,
                                       const compare::AlternationOptions& alternation,
                                       const compare::CompareOptions& options);

// How long a turn repeats a cell: what measure.budget leaves each of a build's turns, 20 ms at
// least.
double turn_ms(double budget_ms, int rounds);

}  // namespace maskerade
