#include "experiments/benchmarks/serve.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace maskerade {
namespace {

std::vector<nlohmann::json> answers(const std::string& requests) {
  WorkPool pool(load_catalog(MASKERADE_TEST_PLUGINS "/..", "", {}),
                benchmark_cases(Scale::kReduced));
  std::istringstream in(requests);
  std::ostringstream out;
  serve(pool, in, out);
  std::istringstream lines(out.str());
  std::vector<nlohmann::json> all;
  for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
  return all;
}

TEST(Serve, AnswersACaseWithASampleAndWhatItNeeds) {
  const auto all = answers("dense/1x8x8x1024x1024x64/float32 2\nforget\nmachine\n");
  ASSERT_EQ(all.size(), 3U);
  EXPECT_GT(all[0]["ms"], 0.0);
  EXPECT_EQ(all[0]["flops"], 4.0 * 64 * 2 * 328 * 328);  // the reduced shape: 2 heads
  EXPECT_EQ(all[0]["density"], 1.0);
  EXPECT_EQ(all[1], nlohmann::json::object());
  EXPECT_FALSE(all[2]["machine"].get<std::string>().empty());
}

TEST(Serve, AnswersWhatItCannotDoWithAnErrorAndGoesOn) {
  const auto all = answers(
      "nothing/such 1\n\ndense/1x8x8x1024x1024x64/float32 none\n"
      "dense/1x8x8x1024x1024x64/float32 0\n"
      "top_k/rows=32/keys=4096/k=64 1\n");
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[0]["error"], "there is no case \"nothing/such\"; --list names them");
  EXPECT_EQ(all[1]["error"], "\"\" is no request; write a case's name and a number of threads");
  EXPECT_TRUE(all[2].contains("error"));
  EXPECT_EQ(all[3]["error"], "the number of threads must be at least 1, not 0");
  EXPECT_EQ(all[4]["items"], 32.0 * 4096 / 16);
}

}  // namespace
}  // namespace maskerade
