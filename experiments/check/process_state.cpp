#include "experiments/check/process_state.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>

#include <filesystem>
#include <system_error>

namespace maskerade::check {
namespace {

std::size_t entries_of(const char* folder) {
  std::error_code ignored;
  std::size_t count = 0;
  for (std::filesystem::directory_iterator entry(folder, ignored), end; entry != end;
       entry.increment(ignored)) {
    ++count;
  }
  return count;
}

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

ProcessState ProcessState::now() {
  ProcessState state;
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action {};
    const bool is_known = sigaction(signal, nullptr, &action) == 0;
    state.signal_handlers.push_back(is_known ? reinterpret_cast<const void*>(action.sa_handler)
                                             : nullptr);
  }
  state.threads = entries_of("/proc/self/task");
  state.descriptors = entries_of("/proc/self/fd");
  std::error_code ignored;
  state.folder = std::filesystem::current_path(ignored).string();
  return state;
}

std::string change_from(const ProcessState& before, const ProcessState& now) {
  std::string text;
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : ", ") + what; };
  for (std::size_t i = 0; i < now.signal_handlers.size(); ++i) {
    if (now.signal_handlers[i] == before.signal_handlers[i]) continue;
    const char* const name = sigabbrev_np(static_cast<int>(i) + 1);
    add("a handler of " +
        (name == nullptr ? fmt::format("signal {}", i + 1) : fmt::format("SIG{}", name)));
  }
  if (now.threads > before.threads) add(counted(now.threads - before.threads, "thread"));
  if (now.descriptors > before.descriptors) {
    add(counted(now.descriptors - before.descriptors, "open file descriptor"));
  }
  if (now.folder != before.folder) add("another working folder");
  return text;
}

}  // namespace maskerade::check
