#include "framework/base/process_limits.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace maskerade {
namespace {

namespace fs = std::filesystem;

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  // A limit beyond 63 bits is none.
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The words of a file's first line.
std::vector<std::string> first_words(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  std::istringstream words(line);
  std::vector<std::string> all;
  for (std::string word; words >> word;) all.push_back(word);
  return all;
}

bool names(const std::string& list, std::string_view name) {
  std::istringstream items(list);
  for (std::string item; std::getline(items, item, ',');) {
    if (item == name) return true;
  }
  return false;
}

// A path of mountinfo, in which a space is "\040".
std::string unescaped(const std::string& text) {
  std::string path;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(&text[i + 1], &text[i + 4], code, 8).ptr == &text[i + 4]) {
      path += static_cast<char>(code);
      i += 3;
    } else {
      path += text[i];
    }
  }
  return path;
}

// Where a hierarchy of control groups is mounted.
struct Mount {
  fs::path group;  // the group whose folder is mounted
  fs::path folder;
  std::string controllers;  // "" for version 2, which has all in one hierarchy
};

std::vector<Mount> find_mounts(const fs::path& root) {
  std::vector<Mount> mounts;
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // ID PARENT DEVICE GROUP FOLDER OPTIONS... - TYPE SOURCE SUPER_OPTIONS
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line.substr(0, dash));
    std::istringstream after(line.substr(dash + 3));
    std::string skipped;
    std::string group;
    std::string folder;
    std::string type;
    std::string options;
    before >> skipped >> skipped >> skipped >> group >> folder;
    after >> type >> skipped >> options;
    if (type != "cgroup" && type != "cgroup2") continue;
    mounts.push_back({unescaped(group), root / fs::path(unescaped(folder)).relative_path(),
                      type == "cgroup2" ? "" : options});
  }
  return mounts;
}

template <typename Limit>
void lower(std::optional<Limit>& least, std::optional<Limit> limit) {
  if (limit && (!least || *limit < *least)) least = limit;
}

void lower_memory(const fs::path& file, ControlGroupLimits& limits) {
  const std::vector<std::string> words = first_words(file);
  const std::optional<std::int64_t> bytes = words.empty() ? std::nullopt : whole_number(words[0]);
  if (bytes && *bytes >= 0) {
    lower(limits.memory_bytes, std::optional(static_cast<std::uint64_t>(*bytes)));
  }
}

void lower_processors(std::optional<std::int64_t> quota,
                      std::optional<std::int64_t> period,
                      ControlGroupLimits& limits) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return;
  lower(limits.processors, std::optional(*quota / *period + (*quota % *period > 0 ? 1 : 0)));
}

// The limits of one group, in the files of either version.
void read_group(const fs::path& folder, ControlGroupLimits& limits) {
  lower_memory(folder / "memory.max", limits);
  lower_memory(folder / "memory.limit_in_bytes", limits);
  if (const std::vector<std::string> words = first_words(folder / "cpu.max"); words.size() == 2) {
    lower_processors(whole_number(words[0]), whole_number(words[1]), limits);
  }
  const std::vector<std::string> quota = first_words(folder / "cpu.cfs_quota_us");
  const std::vector<std::string> period = first_words(folder / "cpu.cfs_period_us");
  if (!quota.empty() && !period.empty()) {
    lower_processors(whole_number(quota[0]), whole_number(period[0]), limits);
  }
}

// The limits of a group and of the groups around it, up to the one that is mounted.
void read_groups(const Mount& mount, const fs::path& group, ControlGroupLimits& limits) {
  // A group outside of the mounted one, as other namespaces have them: only the latter is seen.
  fs::path below = group.lexically_relative(mount.group);
  if (below.empty() || *below.begin() == "..") below = ".";
  fs::path folder = (mount.folder / below).lexically_normal();
  const fs::path top = (mount.folder / ".").lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  while (true) {
    read_group(folder, limits);
    if (folder / "" == top / "" || folder == folder.parent_path()) return;
    folder = folder.parent_path();
  }
}

std::int64_t allowed_processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
  return std::max(CPU_COUNT(&allowed), 1);
}

}  // namespace

ControlGroupLimits control_group_limits(const fs::path& root) {
  ControlGroupLimits limits;
  const std::vector<Mount> mounts = find_mounts(root);
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // ID:CONTROLLERS:GROUP; version 2 has no controllers here
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    for (const Mount& mount : mounts) {
      const bool is_same =
          controllers.empty()
              ? mount.controllers.empty()
              : (names(controllers, "memory") && names(mount.controllers, "memory")) ||
                    (names(controllers, "cpu") && names(mount.controllers, "cpu"));
      if (is_same) read_groups(mount, line.substr(second + 1), limits);
    }
  }
  return limits;
}

ProcessLimits process_limits(const fs::path& root) {
  const ControlGroupLimits groups = control_group_limits(root);
  ProcessLimits limits;
  limits.processors = allowed_processors();
  if (groups.processors) limits.processors = std::min(limits.processors, *groups.processors);
  limits.memory_bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                        static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  if (groups.memory_bytes && *groups.memory_bytes < limits.memory_bytes) {
    limits.memory_bytes = *groups.memory_bytes;
    limits.memory_is_of_control_group = true;
  }
  return limits;
}

}  // namespace maskerade
