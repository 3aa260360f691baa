#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/base/error.hpp"

namespace maskerade {

// The names of the regular files in a folder, sorted; none where there is no such folder.
std::vector<std::string> file_names(const std::filesystem::path& folder);

// Whether a text holds * or ?.
bool is_pattern(const std::string& text);

// Throws ConfigError at `position` unless there is such a folder, or such a file. The error names
// the file of the folder whose name is nearest.
void require_folder(const std::filesystem::path& folder, const TextPosition& position);
void require_file(const std::filesystem::path& file, const TextPosition& position);

// The files that a path stands for, sorted: in its last part * stands for any characters and ? for
// one. `written` is what the experiment file says. Throws ConfigError at `position` when there is
// none.
std::vector<std::filesystem::path> match_files(const std::filesystem::path& path,
                                               const std::string& written,
                                               const TextPosition& position);

}  // namespace maskerade
