#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

// Runs the program with streams that take no output.
class Streams : public Program {
 protected:
  Streams() { write("tiny.yaml", kTiny); }

  // Runs the program with these redirections of the shell; -1: a signal has ended it.
  int code_of(const std::string& arguments, const std::string& redirections) const {
    const std::string command = "cd '" + folder_.string() + "' && XDG_CACHE_HOME='" +
                                folder_.string() + "/cache' '" + MASKERADE_TEST_PROGRAM + "' " +
                                arguments + " " + redirections;
    const int status = std::system(command.c_str());
    return WIFEXITED(status) && WEXITSTATUS(status) < 128 ? WEXITSTATUS(status) : -1;
  }
  std::size_t cells_in(const std::string& file) const { return json_lines(file).size(); }
};

const std::vector<std::string> kBrokenMessages = {"2>&-", "2>/dev/full"};

TEST_F(Streams, ThatTakeNoMessagesLoseNoCell) {
  for (const std::string& messages : kBrokenMessages) {
    EXPECT_EQ(code_of("run tiny.yaml --no-peaks --out out --json r.jsonl", ">out.txt " + messages),
              2)
        << messages;
    EXPECT_NE(without_noise(read("out.txt")).find("4 ok, 0 failed"), std::string::npos)
        << read("out.txt");
    EXPECT_EQ(cells_in("r.jsonl"), 4U) << messages;
    EXPECT_EQ(run("results out --json kept.jsonl").exit_code, 0);
    EXPECT_EQ(cells_in("kept.jsonl"), 4U) << messages;
    std::filesystem::remove_all(folder_ / "out");
  }
}

TEST_F(Streams, ThatTakeNoTableKeepTheCells) {
  for (const std::string table :
       {">&-", ">/dev/full", ">&- 2>&-", ">/dev/full 2>/dev/full", "<&- >&- 2>&-"}) {
    EXPECT_EQ(code_of("run tiny.yaml --no-peaks --out out --json r.jsonl", table), 2) << table;
    EXPECT_EQ(cells_in("r.jsonl"), 4U) << table;
    EXPECT_EQ(run("results out --json kept.jsonl").exit_code, 0) << table;
    EXPECT_EQ(cells_in("kept.jsonl"), 4U) << table;
    std::filesystem::remove_all(folder_ / "out");
  }
}

TEST_F(Streams, WithoutAReaderEndNoProgramByASignal) {
  for (const std::string arguments : {"list", "run tiny.yaml --no-peaks", "--help", "info"}) {
    // `true` reads nothing and ends at once; the program's code goes to a file.
    const std::string command = "cd '" + folder_.string() + "' && { sleep 0.2; '" +
                                MASKERADE_TEST_PROGRAM + "' " + arguments +
                                " 2>err.txt; echo $? >code; } | true";
    EXPECT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(read("code"), "2\n") << arguments;
    EXPECT_NE(read("err.txt").find("standard output cannot be written"), std::string::npos)
        << read("err.txt");
  }
}

TEST_F(Streams, ThatAreFullOrClosedGiveCode2WithEveryCommand) {
  ASSERT_EQ(run("run tiny.yaml --out out").exit_code, 0);
  for (const std::string command :
       {"list", "list kernels", "info", "--help", "run --help", "--version", "results out",
        "results --describe-columns", "run tiny.yaml --dry-run"}) {
    EXPECT_EQ(code_of(command, ">/dev/full 2>err.txt"), 2) << command;
    EXPECT_NE(read("err.txt").find("is the disk or the pipe full?"), std::string::npos)
        << command << read("err.txt");
    EXPECT_EQ(code_of(command, ">&- 2>&-"), 2) << command;
    EXPECT_EQ(code_of(command, ">/dev/null 2>&-"), 0) << command << ": it has no message";
  }
}

TEST_F(Streams, ThatTakeNoMessageStillGetTheErrorsCode) {
  for (const std::string& messages : kBrokenMessages) {
    for (const std::string command :
         {"", "fly", "run nowhere.yaml", "list snk", "results nowhere"}) {
      EXPECT_EQ(code_of(command, ">/dev/null " + messages), 2) << command << messages;
    }
    EXPECT_EQ(
        code_of("run tiny.yaml --no-peaks --set check.tolerance=1e-30", ">/dev/null " + messages),
        2)
        << messages;
  }
}

TEST_F(Streams, ThatAreClosedGetNoneOfTheFilesThatAreOpenedLater) {
  EXPECT_EQ(
      code_of("run tiny.yaml --no-peaks --json r.jsonl --csv r.csv --out out", "<&- >&- 2>&-"), 2);
  EXPECT_EQ(cells_in("r.jsonl"), 4U) << "no message among the lines";
  EXPECT_EQ(read("r.csv").find("maskerade:"), std::string::npos);
  EXPECT_EQ(run("results out").exit_code, 0);
}

TEST_F(Streams, OfAnExportThatIsFullKeepTheTableAndTheDatabase) {
  for (const std::string option : {"--json", "--csv"}) {
    EXPECT_EQ(code_of("run tiny.yaml --no-peaks --out out " + option + " /dev/full",
                      ">out.txt 2>err.txt"),
              2);
    EXPECT_NE(read("err.txt").find("/dev/full: a result could not be written"), std::string::npos)
        << read("err.txt");
    std::filesystem::remove_all(folder_ / "out");
  }
}

TEST_F(Streams, BeyondTheLargestFileKeepWholeLines) {
  // The limit is in blocks of 1,024 bytes; a line has more than 1,000.
  EXPECT_EQ(code_of("run tiny.yaml --no-peaks --json r.jsonl", ">/dev/null 2>&1"), 0);
  const auto all = std::filesystem::file_size(folder_ / "r.jsonl");
  const std::string limit = std::to_string(all * 3 / 4 / 1024);
  const std::string command = "cd '" + folder_.string() + "' && bash -c 'ulimit -f " + limit +
                              "; exec \"$0\" run tiny.yaml --no-peaks --json r.jsonl' '" +
                              MASKERADE_TEST_PROGRAM + "' >/dev/null 2>err.txt";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 2) << read("err.txt");
  EXPECT_NE(read("err.txt").find("r.jsonl: a result could not be written"), std::string::npos)
      << read("err.txt");
  EXPECT_GE(cells_in("r.jsonl"), 1U) << "lines that can be parsed";
  EXPECT_TRUE(read("r.jsonl").ends_with("\n"));
}

TEST_F(Streams, OfAPipeThatNothingReadsAreRefused) {
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const ProgramResult refused = run("run tiny.yaml --json pipe");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("pipe: cannot be written (nothing reads this pipe)"),
            std::string::npos)
      << refused.err;
  // With a reader it takes every line.
  const int reader = open((folder_ / "pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  EXPECT_EQ(run("run tiny.yaml --json pipe").exit_code, 0);
  std::string lines(std::size_t{1} << 16, '\0');
  const ssize_t bytes = ::read(reader, lines.data(), lines.size());
  close(reader);
  lines.resize(bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
  write("copy.jsonl", lines);
  EXPECT_EQ(cells_in("copy.jsonl"), 4U);
}

}  // namespace
}  // namespace maskerade
