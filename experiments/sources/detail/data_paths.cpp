#include "experiments/sources/detail/data_paths.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <system_error>

#include "framework/base/control_characters.hpp"
#include "framework/base/nearest_name.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

// For fnmatch, to which more characters than * and ? are special.
std::string escape_pattern(const std::string& pattern) {
  std::string escaped;
  for (const char c : pattern) {
    if (c == '[' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, code)) {
    if (entry.is_regular_file(code)) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_pattern(const std::string& text) { return text.find_first_of("*?") != std::string::npos; }

void require_folder(const fs::path& folder, const TextPosition& position) {
  std::error_code code;
  if (fs::is_directory(folder, code)) return;
  throw ConfigError(position, fmt::format("there is no folder {}", folder.string()));
}

void require_file(const fs::path& file, const TextPosition& position) {
  std::error_code code;
  const fs::file_status status = fs::status(file, code);
  if (fs::is_regular_file(status)) return;
  if (fs::exists(status)) {
    throw ConfigError(position,
                      fmt::format("{} is {}; name a file", file.string(),
                                  fs::is_directory(status) ? "a folder" : "no regular file"));
  }
  require_folder(file.parent_path(), position);
  const std::string nearest =
      nearest_name(file.filename().string(), file_names(file.parent_path()));
  throw ConfigError(position,
                    fmt::format("there is no file {}{}", file.string(),
                                nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?"));
}

std::vector<fs::path> match_files(const fs::path& path,
                                  const std::string& written,
                                  const TextPosition& position) {
  const fs::path folder = path.parent_path();
  if (is_pattern(folder.string())) {
    throw ConfigError(
        position,
        fmt::format("file is {}; a pattern (* or ?) may stand in its last part only", written));
  }
  const std::string pattern = path.filename().string();
  if (!is_pattern(pattern)) {
    require_file(path, position);
    return {path};
  }
  require_folder(folder, position);
  std::vector<fs::path> files;
  const std::string escaped = escape_pattern(pattern);
  for (const std::string& name : file_names(folder)) {
    if (fnmatch(escaped.c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
    refuse_control_characters(name, position);
    files.push_back(folder / name);
  }
  if (files.empty()) {
    throw ConfigError(position, fmt::format("no file matches {} in {}", pattern, folder.string()));
  }
  return files;
}

}  // namespace maskerade
