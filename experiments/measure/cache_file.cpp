#include "experiments/measure/cache_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>

#include "framework/base/error.hpp"

namespace maskerade {

namespace {

// Writes the text to a new file beside `path`, of a name that none had, and moves it there. false:
// that is not possible, and the new file is gone.
bool write_draft(const std::filesystem::path& path, const std::string& text) {
  std::string draft = path.string() + ".XXXXXX";
  const int descriptor = mkostemp(draft.data(), O_CLOEXEC);
  if (descriptor < 0) return false;
  bool is_written = true;
  for (std::string_view rest = text; is_written && !rest.empty();) {
    const ssize_t count = write(descriptor, rest.data(), rest.size());
    is_written = count >= 0 || errno == EINTR;
    if (count > 0) rest.remove_prefix(static_cast<std::size_t>(count));
  }
  is_written = close(descriptor) == 0 && is_written;
  std::error_code error;
  if (is_written) std::filesystem::rename(draft, path, error);
  if (is_written && !error) return true;
  std::filesystem::remove(draft, error);
  return false;
}

}  // namespace

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
  if (!write_draft(path, text)) {
    throw ConfigError({.file = path.string()},
                      "cannot be written; set XDG_CACHE_HOME to a folder that can be written");
  }
}

std::optional<std::string> read_cache_file(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (path.empty() || !std::filesystem::exists(status)) return std::nullopt;
  // Rationale: opening a pipe waits for its writer.
  if (!std::filesystem::is_regular_file(status)) {
    throw ConfigError({.file = path.string()}, "is no regular file");
  }
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) {
    throw ConfigError({.file = path.string()}, "cannot be read");
  }
  return text;
}

}  // namespace maskerade
