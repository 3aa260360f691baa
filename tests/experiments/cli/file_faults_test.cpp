#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

// Runs the program on files that are not what they should be.
class FileFaults : public Program {
 protected:
  FileFaults() { write("tiny.yaml", kTiny); }

  void expect_refused(const std::string& arguments,
                      const std::string& text,
                      const std::string& environment = "") const {
    const ProgramResult finished = run(arguments, "timeout 600 env " + environment);
    EXPECT_EQ(finished.exit_code, 2) << arguments << "\n" << finished.err;
    EXPECT_NE(finished.err.find(text), std::string::npos) << arguments << "\n" << finished.err;
  }
  void make_pipe(const std::string& name) const {
    ASSERT_EQ(mkfifo((folder_ / name).c_str(), 0600), 0);
  }
  // A copy of a built-in plugin without its last bytes.
  void copy_part_of_plugin(const std::string& name, double part) const {
    const fs::path whole = fs::path(MASKERADE_TEST_PROGRAM).parent_path() / "plugins/sink.so";
    fs::copy_file(whole, folder_ / name, fs::copy_options::overwrite_existing);
    fs::resize_file(folder_ / name,
                    static_cast<std::uintmax_t>(part * static_cast<double>(fs::file_size(whole))));
  }
};

TEST_F(FileFaults, ALibraryThatIsCutShortIsNamed) {
  fs::create_directories(folder_ / "more");
  for (const double part : {0.05, 0.6, 0.999}) {
    copy_part_of_plugin("more/cut.so", part);
    for (const std::string command :
         {"run tiny.yaml --plugin more/cut.so", "list --plugin more/cut.so"}) {
      expect_refused(command, "more/cut.so: is cut short: it has ");
    }
    for (const std::string command : {"info", "list", "run tiny.yaml"}) {
      expect_refused(command, "cut.so: is cut short: it has ", "MASKERADE_PLUGIN_PATH=more");
    }
  }
}

TEST_F(FileFaults, APipeOrADeviceIsNotWaitedFor) {
  make_pipe("pipe.yaml");
  make_pipe("pipe.so");
  make_pipe("pipe.json");
  make_pipe("pipe.safetensors");
  expect_refused("run pipe.yaml", "pipe.yaml: this is no regular file");
  expect_refused("run /dev/zero", "/dev/zero: this is no regular file");
  expect_refused("run tiny.yaml --plugin pipe.so", "pipe.so: is not a file");
  expect_refused("run tiny.yaml --plugin /dev/zero", "/dev/zero: is not a file");
  expect_refused(
      "run tiny.yaml --set 'pipelines.p=[{double_sparsity: {budget: 5, file: pipe.json}}]'",
      "is not a file that can be read");
  expect_refused(
      "run tiny.yaml --set 'workload={source: {kind: safetensors, file: "
      "pipe.safetensors}}'",
      "no regular file");
  for (const std::string file :
       {"results.sqlite", "results.sqlite-wal", "results.sqlite-journal"}) {
    ASSERT_EQ(run("run tiny.yaml --out " + file).exit_code, 0);
    fs::remove(folder_ / file / file);
    make_pipe(file + "/" + file);
    for (const std::string command : {"run tiny.yaml --resume --out ", "results "}) {
      expect_refused(command + file, file + "/" + file + ": is not a results database");
    }
  }
}

TEST_F(FileFaults, ACalibrationThatIsAPipeIsNotWaitedFor) {
  ASSERT_EQ(run("calibrate").exit_code, 0);
  std::vector<fs::path> saved;
  for (const auto& entry : fs::directory_iterator(folder_ / "cache/maskerade")) {
    saved.push_back(entry.path());
  }
  ASSERT_FALSE(saved.empty());
  for (const fs::path& file : saved) {
    fs::remove(file);
    ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  }
  const ProgramResult ran = run("run tiny.yaml", "timeout 600");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.err.find("is not a calibration that can be read"), std::string::npos) << ran.err;
  EXPECT_NE(run("info", "timeout 600").out.find("is not a calibration"), std::string::npos);
}

TEST_F(FileFaults, AFolderThatIsGoneIsSaidToBeGone) {
  const std::string folder = folder_.string();
  const std::string begin = "cd '" + folder +
                            "' && mkdir gone && cd gone && rmdir ../gone && "
                            "XDG_CACHE_HOME=/nowhere '" MASKERADE_TEST_PROGRAM "' ";
  const std::vector<std::string> commands = {"run x.yaml", "run ../tiny.yaml", "results out",
                                             "run '" + folder + "/tiny.yaml' --json r.jsonl",
                                             "run '" + folder + "/tiny.yaml' --out out"};
  for (const std::string& arguments : commands) {
    const int status =
        std::system((begin + arguments + " >/dev/null 2>'" + folder + "/err.txt'").c_str());
    EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 2) << arguments << read("err.txt");
    const std::string error = read("err.txt");
    EXPECT_EQ(error.find("disk or the pipe"), std::string::npos) << error;
    EXPECT_TRUE(error.find("No such file or directory") != std::string::npos ||
                error.find("there is no such file") != std::string::npos ||
                error.find("is not there") != std::string::npos)
        << error;
  }
}

TEST_F(FileFaults, AnExportHasOneWriterAtATime) {
  // As another run holds it.
  const int other = open((folder_ / "r.jsonl").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(other, 0);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  ASSERT_EQ(::write(other, "{}\n", 3), 3);
  for (const std::string option : {"--json", "--csv"}) {
    expect_refused("run tiny.yaml " + option + " r.jsonl --out out",
                   "r.jsonl: is written by another run; wait for it to end, or name another file");
  }
  EXPECT_EQ(read("r.jsonl"), "{}\n");
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  close(other);
  EXPECT_EQ(run("run tiny.yaml --json r.jsonl").exit_code, 0);
  EXPECT_EQ(json_lines("r.jsonl").size(), 4U);
  // A device is nobody's.
  EXPECT_EQ(run("run tiny.yaml --json /dev/null --csv r.csv").exit_code, 0);
}

TEST_F(FileFaults, AnUnknownMaskerNamesTheFoldersAndTheOption) {
  fs::create_directories(folder_ / "more");
  const std::string folders =
      (fs::path(MASKERADE_TEST_PROGRAM).parent_path() / "plugins").string() + ", " +
      (folder_ / "more").string();
  const std::string text = " Maskers were looked for in " + folders +
                           "; name the library of another one with --plugin FILE, or its folder "
                           "in MASKERADE_PLUGIN_PATH";
  const std::string environment = "MASKERADE_PLUGIN_PATH='" + (folder_ / "more").string() + "'";
  expect_refused("run tiny.yaml --set 'pipelines.p=[my_own_masker]'", text, environment);
  expect_refused("run tiny.yaml --set 'pipelines.p=[snk]'", "did you mean \"sink\"?" + text,
                 environment);
  expect_refused("list my_own_masker", text, environment);
}

TEST_F(FileFaults, ThreadsHaveALimitThatTheErrorNames) {
  for (const std::string count : {"4096", "100000", "2147483647"}) {
    expect_refused("run tiny.yaml --threads " + count, "--threads is " + count + "; with ");
  }
}

}  // namespace
}  // namespace maskerade
