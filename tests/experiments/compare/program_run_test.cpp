#include "experiments/compare/program_run.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "framework/base/error.hpp"

namespace maskerade::compare {
namespace {

std::filesystem::path log_file() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  return std::filesystem::path(testing::TempDir()) /
         ("maskerade_log_" + std::to_string(getpid()) + "_" + test->name());
}

ProgramEnd run_shell(const std::string& script, bool is_stopped = false) {
  const std::filesystem::path log = log_file();
  const ProgramEnd end = run_program("sh", {"-c", script}, log, [&] { return is_stopped; });
  std::filesystem::remove(log);
  return end;
}

TEST(RunProgram, GivesExitCodeAndLastLines) {
  const ProgramEnd end = run_shell("echo 'a b'; echo c >&2; exit 3");
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_EQ(end.signal, "");
  EXPECT_EQ(end.output, "a b; c");
}

TEST(RunProgram, NamesTheSignal) { EXPECT_EQ(run_shell("kill -SEGV $$").signal, "SIGSEGV"); }

TEST(RunProgram, EndsTheProgramWhenItIsStopped) {
  EXPECT_EQ(run_shell("exec sleep 100", true).signal, "SIGTERM");
}

TEST(RunProgram, SaysThatThereIsNoSuchProgram) {
  try {
    run_program("/no/such/program", {}, log_file(), [] { return false; });
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("/no/such/program: cannot be started ("))
        << error.what();
  }
  std::filesystem::remove(log_file());
}

}  // namespace
}  // namespace maskerade::compare
