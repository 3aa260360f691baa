// A process that dies in a masker leaves its name to the process that started it.
#include "framework/plugin/call_record.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

extern char** environ;

namespace maskerade {
namespace {

using Texts = std::vector<std::string>;

struct Death {
  int signal = 0;  // 0: none
  Texts in;
};

// What comes of a process that selects with that masker.
Death death_of(const std::string& masker, const std::string& where) {
  const SharedCallRecord shared;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, shared.descriptor(),
                                   shared.descriptor());  // stays open
  std::string child = CALL_RECORD_CHILD;
  std::string number = std::to_string(shared.descriptor());
  std::string name = masker;
  std::string place = where;
  const std::array<char*, 5> arguments = {child.data(), number.data(), name.data(), place.data(),
                                          nullptr};
  pid_t process = 0;
  EXPECT_EQ(posix_spawn(&process, child.c_str(), &actions, nullptr, arguments.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  EXPECT_EQ(waitpid(process, &status, 0), process);
  return {WIFSIGNALED(status) ? WTERMSIG(status) : 0, CallRecord::describe(shared.record())};
}

std::string library(const std::string& masker) {
  return std::filesystem::canonical(MASKERADE_TEST_PLUGINS) / (masker + ".so");
}

TEST(CallRecordOfADeadProcess, NamesTheMaskerThatItDiedIn) {
  const Texts aborting = {"masker \"aborting\" (" + library("aborting") + ")"};
  for (const char* where : {"create", "select"}) {
    const Death death = death_of("aborting", where);
    EXPECT_EQ(death.signal, SIGABRT) << where;
    EXPECT_EQ(death.in, aborting) << where;
  }
}

TEST(CallRecordOfADeadProcess, NamesTheLibraryThatItDiedLoading) {
  const Death death = death_of("aborting_at_load", "nowhere");
  EXPECT_EQ(death.signal, SIGABRT);
  EXPECT_EQ(death.in, Texts{"library " + library("aborting_at_load")});
}

TEST(CallRecordOfADeadProcess, NamesNothingWhenItEndedOtherwise) {
  const Death death = death_of("aborting", "nowhere");
  EXPECT_EQ(death.signal, 0);
  EXPECT_EQ(death.in, Texts{});
}

}  // namespace
}  // namespace maskerade
