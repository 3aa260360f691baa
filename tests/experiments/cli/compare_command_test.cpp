// `maskerade compare` as a user types it. What the two builds of --run measure is written down: no
// test depends on a speed.
#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

class CompareCommand : public Program {
 protected:
  // Writes a program that understands `run`: it copies the lines of its cells, and adds a letter to
  // order.txt. The cell of streaming takes so many milliseconds.
  void write_build(const std::string& letter, double streaming_ms) const {
    std::string lines;
    int number = 0;
    for (const char* pipeline : {"dense", "streaming", "topk 5%", "topk 100%"}) {
      const double ms = number == 1 ? streaming_ms : 2;
      nlohmann::json line = {{"cell", number},         {"experiment", "tiny"},
                             {"workload", "workload"}, {"pipeline", pipeline},
                             {"status", "ok"},         {"device", "cpu"},
                             {"kernel", "auto"},       {"attend_ms", ms},
                             {"total_ms", ms},         {"dense_ms", 2.0}};
      if (number > 0) line["mask_seed"] = 0;
      lines += line.dump() + "\n";
      ++number;
    }
    write(letter + ".jsonl", lines);
    write(letter + ".sh", "#!/bin/sh\nprintf " + letter + " >>order.txt\necho \"$*\" >>" + letter +
                              ".args\n"
                              "while [ $# -gt 0 ]; do\n"
                              "  case $1 in\n"
                              "    --json) out=$2; shift ;;\n"
                              "    --cell) cells=\"$cells $2\"; shift ;;\n"
                              "  esac\n"
                              "  shift\n"
                              "done\n"
                              "for cell in $cells; do grep \"\\\"cell\\\":$cell,\" " +
                              letter + ".jsonl; done >\"$out\"\n");
    fs::permissions(folder_ / (letter + ".sh"), fs::perms::owner_all);
  }
};

TEST_F(CompareCommand, AlternatesTwoBuildsAndFindsTheSlowerCell) {
  write("tiny.yaml", kTiny);
  write_build("a", 2);
  write_build("b", 3);
  const ProgramResult result =
      run("compare --run ./a.sh ./b.sh tiny.yaml --rounds 4 --out kept --set check.oracle_rows=8");
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(std::regex_search(
      result.out, std::regex("streaming, workload +2.00 +3.00 +1.500 +1.500..1.500 +8  SLOWER")))
      << result.out;
  EXPECT_NE(result.out.find("4 cells: 1 SLOWER, 0 FASTER, 3 SAME, 0 UNCLEAR; results: 0 worse, 0 "
                            "better, 4 rounds in "),
            std::string::npos)
      << result.out;
  EXPECT_TRUE(std::regex_match(read("order.txt"), std::regex("(abba|baab){4}")))
      << read("order.txt");
  // 20 ms of measure.budget for 8 turns are too short.
  EXPECT_NE(read("a.args").find("--set check.oracle_rows=8 --set measure.budget=20ms --cell 0 "
                                "--cell 1 --cell 2 --cell 3\n"),
            std::string::npos)
      << read("a.args");
  EXPECT_TRUE(fs::exists(folder_ / "kept/A/run-008.jsonl"));
  // What was kept, the other way round.
  const ProgramResult again =
      run("compare kept/B kept/A --paired --json cells.jsonl --stage attend");
  EXPECT_EQ(again.exit_code, 0) << again.out << again.err;
  EXPECT_EQ(cell_of("cells.jsonl", "streaming").at("verdict"), "FASTER");
  EXPECT_EQ(cell_of("cells.jsonl", "streaming").at("quantity"), "median attend");
}

TEST_F(CompareCommand, EndsWithTheMessageOfAProgramThatFails) {
  write("tiny.yaml", kTiny);
  write("a.sh", "#!/bin/sh\necho cannot do it >&2\nexit 2\n");
  fs::permissions(folder_ / "a.sh", fs::perms::owner_all);
  const ProgramResult result = run("compare --run ./a.sh ./a.sh tiny.yaml");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err,
            "maskerade: error: ./a.sh: ended with exit code 2 when it ran cells 0, 1, 2, 3 of "
            "tiny.yaml: cannot do it\n");
}

TEST_F(CompareCommand, BadCommandLinesSayWhatWouldBeRight) {
  for (const auto& [arguments, message] :
       {std::pair("compare a b --margin 0",
                  "--margin 0: give a share above 0 and up to 1, such as 5% or 0.05"),
        std::pair("compare --run a b",
                  "compare --run: name two programs and an experiment file, for example compare "
                  "--run old/bin/maskerade new/bin/maskerade experiment.yaml"),
        std::pair("compare a b --out c",
                  "compare: an option here says how cells are run, and without --run none are; add "
                  "--run, or leave it out")}) {
    const ProgramResult result = run(arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.err, std::string("maskerade: error: ") + message + "\n");
  }
}

}  // namespace
}  // namespace maskerade
