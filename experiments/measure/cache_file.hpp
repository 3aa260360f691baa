#pragma once

#include <filesystem>
#include <string>

namespace maskerade {

// Where the environment says that a user's cache of this program lies: $XDG_CACHE_HOME/maskerade,
// or $HOME/.cache/maskerade; "" when it says nothing.
std::filesystem::path cache_folder();

// Makes the folder of `path`, and replaces the file as a whole: a reader finds the old one or the
// new one. Throws ConfigError when the path is "" or cannot be written.
void replace_cache_file(const std::filesystem::path& path, const std::string& text);

}  // namespace maskerade
