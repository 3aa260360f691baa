// `maskerade check` and `maskerade new` as a user types them.
#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

using CheckCommand = Program;

TEST_F(CheckCommand, SaysWhatFailsWritesItAndEndsWithItsTotals) {
  const ProgramResult result = run("check sink " MASKERADE_FIRST_OF_CALL " --cells 5 --out found");
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_TRUE(result.out.starts_with("sink (")) << result.out;
  EXPECT_NE(result.out.find("  ok        threads and chunks "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("  FAILED    threads and chunks "), std::string::npos) << result.out;
  EXPECT_TRUE(std::regex_search(
      result.out, std::regex("\n2 libraries, [0-9]+ verdicts: [0-9]+ ok, [0-9]+ warning, 1 FAILED, "
                             "[0-9]+ not asked, [0-9.]+ s\n$")))
      << result.out;
  EXPECT_EQ(result.err, "");
  EXPECT_NE(read("found/first_of_call/stress-1-3.yaml"), "") << result.out;
}

// A masker that ends its process costs the question in hand, until it has ended three.
TEST_F(CheckCommand, OutlivesAMaskerThatAborts) {
  const ProgramResult result = run("check " MASKERADE_ABORTING " --cells 9");
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  const std::string out =
      std::regex_replace(result.out, std::regex("\n +"), " ");  // without line breaks
  EXPECT_NE(out.find("its process was ended by SIGABRT, in masker \"aborting\" ("),
            std::string::npos)
      << out;
  EXPECT_NE(out.find("the masker has ended 3 processes; mend that first"), std::string::npos)
      << out;
}

TEST_F(CheckCommand, NamesALibraryThatEndsTheProcessWhichLoadsIt) {
  const ProgramResult result = run("check " MASKERADE_DEADLY, "DEADLY_AT_LOADING=crash");
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_NE(result.out.find("  FAILED    library  the process that loads it was ended by SIGABRT"),
            std::string::npos)
      << result.out;
}

TEST_F(CheckCommand, BadCommandLinesSayWhatWouldBeRight) {
  ProgramResult result = run("check sinks");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(
      result.err.starts_with("maskerade: error: there is no masker \"sinks\"; did you mean"))
      << result.err;
  result = run("check ./nowhere.so");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err,
            "maskerade: error: ./nowhere.so: there is no such file; give the path of a masker "
            "library (*.so)\n");
}

using NewCommand = Program;

TEST_F(NewCommand, SaysWhatComesNext) {
  const ProgramResult result = run("new masker far_band --base score --out made");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with(
      "written: made/far_band/far_band.cpp, far_band.yaml, CMakeLists.txt, README.md\nnext:\n"))
      << result.out;
  EXPECT_NE(result.out.find("  maskerade check made/far_band/build/far_band.so\n"),
            std::string::npos)
      << result.out;
  EXPECT_NE(read("made/far_band/far_band.cpp").find("class FarBand final"), std::string::npos);
}

}  // namespace
}  // namespace maskerade
