#pragma once

#include <filesystem>

#include "experiments/results/cell_result.hpp"
#include "experiments/results/record_file.hpp"

namespace maskerade {

// A JSON Lines file: one object a cell, see to_json_line.
class JsonLinesWriter {
 public:
  // Replaces the file. Throws ConfigError when it cannot be written.
  explicit JsonLinesWriter(const std::filesystem::path& file) : file_(file) {}
  // Throws ConfigError when the line cannot be written.
  void write(const CellResult& result);

 private:
  RecordFile file_;
};

}  // namespace maskerade
