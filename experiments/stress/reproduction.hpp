#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/stress/check_cell.hpp"

namespace maskerade::stress {

// Where a failure was found: what draws the cell again.
struct CellOrigin {
  std::uint64_t seed = 0;
  std::int64_t number = 0;
  std::string arguments;  // further ones of the command line, with a space before each
  int failure = 1;        // of that cell, counted from 1

  // "maskerade stress --seed 5 --cell 17"
  std::string command() const;
  // Of the names of files: "stress-5-17", of its second failure "stress-5-17-2".
  std::string stem() const;
};

// A failure in the words of a report: the masker, the invariant, the cell and the first violations.
std::vector<std::string> describe(const CellFailure& failure);

// The experiment file that runs the failure's pipeline on its problem with every kernel. Its head
// says what fails, and which command asks the rule again: `maskerade run` itself sees a wrong
// kernel, a mask that differs from one selection to the next, and a masker that fails, but neither
// chunks nor threads nor what a masker does not declare.
//
// data_file: the name of the safetensors file with the problem's numbers; needed unless
// is_gaussian(failure).
std::string experiment_text(const CellFailure& failure,
                            const CellOrigin& origin,
                            const std::string& data_file);
// Whether the experiment file states the problem's numbers by a seed.
bool is_gaussian(const CellFailure& failure) noexcept;

// Writes the experiment file, named by the origin, and beside it the data file where there must be
// one; files of these names are replaced. Returns the experiment's path. Throws DataError when a
// file cannot be written.
std::filesystem::path write_reproduction(const CellFailure& failure,
                                         const CellOrigin& origin,
                                         const std::filesystem::path& folder);

}  // namespace maskerade::stress
