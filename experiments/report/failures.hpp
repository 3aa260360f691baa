#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/report/text_table.hpp"
#include "experiments/results/cell_result.hpp"

namespace maskerade {

// What the reasons of failures with one cause have in common: the reason with "#" in the place of
// each number, sign, decimals, exponent and hexadecimal digits included. So failures that differ
// only in sizes, errors and places are one cause; a name with another number in it is, too.
std::string cause_of(const std::string& reason);

// Words as a command line that a shell splits into them again: those that hold anything but
// letters, digits and _ - . / : = , + % @ are quoted.
std::string command_text(const std::vector<std::string>& words);

// The cells that failed, by cause.
class Failures {
 public:
  // A result of any status.
  void add(const CellResult& result);

  // One group a cause, the largest first, each with its cells, the reason of its first cell, and
  // the command that runs that cell alone: `command`, which ends before the cell's number; "": no
  // command is known.
  //   3 failed, by cause:
  //     2 (cells 12, 14): the tiles kernel differs from the float64 oracle by 0.0123 at ...
  //         maskerade run x.yaml --cell 12
  // "" where nothing failed.
  std::string text(const std::string& command, const TerminalStyle& style) const;

 private:
  struct Group {
    std::string cause;
    std::string reason;  // of the first cell
    std::vector<std::int64_t> cells;
  };

  std::size_t failed_ = 0;
  std::vector<Group> groups_;
};

}  // namespace maskerade
