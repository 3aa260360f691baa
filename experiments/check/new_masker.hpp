// The folder that a new masker begins with.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace maskerade::check {

// What a new masker can derive from: "row", "score", "block", "candidate", "whole".
std::vector<std::string> masker_bases();

struct NewMasker {
  std::string name;  // its id
  std::string base = "row";
  std::filesystem::path folder = ".";   // in which its own is made
  std::vector<std::string> taken = {};  // ids of other maskers
};

// Writes folder/name/: the source, CMakeLists.txt, an experiment and a README, from
// plugins/template with its names changed. Returns the folder. Throws ConfigError, before anything
// is written, when the name is none that a masker can have, or is taken, when there is no such
// base, or when there is something of that name already; DataError when a file cannot be written.
std::filesystem::path write_new_masker(const NewMasker& masker);

}  // namespace maskerade::check
