#include "experiments/measure/cache_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "framework/base/error.hpp"

namespace maskerade {

std::filesystem::path cache_folder() {
  // Rationale: the specification of XDG_CACHE_HOME says that a relative path there is ignored.
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && cache[0] == '/') {
    return std::filesystem::path(cache) / "maskerade";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] != '\0') {
    return std::filesystem::path(home) / ".cache" / "maskerade";
  }
  return {};
}

void replace_cache_file(const std::filesystem::path& path, const std::string& text) {
  if (path.empty()) {
    throw ConfigError({},
                      "there is no cache folder to save the result in; set HOME or XDG_CACHE_HOME");
  }
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  const std::filesystem::path draft = path.string() + fmt::format(".{}", getpid());
  std::ofstream file(draft);
  file << text;
  file.close();
  if (file) std::filesystem::rename(draft, path, error);
  if (!file || error) {
    std::error_code ignored;
    std::filesystem::remove(draft, ignored);
    throw ConfigError({.file = path.string()},
                      "cannot be written; set XDG_CACHE_HOME to a folder that can be written");
  }
}

}  // namespace maskerade
