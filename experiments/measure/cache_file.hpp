#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace maskerade {

// The folder in which this program keeps files between runs: $XDG_CACHE_HOME/maskerade, or
// $HOME/.cache/maskerade. "" when neither variable is set. The folder may not exist.
std::filesystem::path cache_folder();

// Writes `text` to the file at `path`, and creates its folder if needed. The file is replaced as a
// whole: another process that reads it meanwhile finds the old text or the new one. What lies at
// the path, or was planted beside it, is never written to, nor is what a link there leads to.
// Throws ConfigError when the path is "" or cannot be written.
void replace_cache_file(const std::filesystem::path& path, const std::string& text);

// The text of the file at `path`; nullopt when the path is "" or nothing is there. Throws
// ConfigError when something other than a regular file is there, or it cannot be read.
std::optional<std::string> read_cache_file(const std::filesystem::path& path);

}  // namespace maskerade
