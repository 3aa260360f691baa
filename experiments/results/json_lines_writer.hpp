#pragma once

#include <filesystem>
#include <fstream>

#include "experiments/results/cell_result.hpp"

namespace maskerade {

// A JSON Lines file: one object a cell, each handed to the system whole as soon as it is written,
// so that a killed run keeps every finished cell.
class JsonLinesWriter {
 public:
  // Replaces the file. Throws ConfigError when it cannot be written.
  explicit JsonLinesWriter(const std::filesystem::path& file);
  // Throws ConfigError when the line cannot be written.
  void write(const CellResult& result);

 private:
  std::filesystem::path file_;
  std::ofstream stream_;
};

}  // namespace maskerade
