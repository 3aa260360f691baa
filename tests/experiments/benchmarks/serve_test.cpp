#include "experiments/benchmarks/serve.hpp"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace maskerade {
namespace {

// The answers to some requests, by the request. They are sent to one server, in their order.
std::map<std::string, nlohmann::json> answers(const std::vector<std::string>& requests) {
  WorkPool pool(load_catalog(MASKERADE_TEST_PLUGINS "/..", "", {}),
                benchmark_cases(Scale::kReduced));
  std::string sent;
  for (const std::string& request : requests) sent += request + "\n";
  std::istringstream in(sent);
  std::ostringstream out;
  serve(pool, in, out);
  std::istringstream lines(out.str());
  std::map<std::string, nlohmann::json> all;
  for (const std::string& request : requests) {
    std::string line;
    EXPECT_TRUE(std::getline(lines, line)) << request;
    all[request] = nlohmann::json::parse(line);
  }
  std::string more;
  EXPECT_FALSE(std::getline(lines, more)) << more;
  return all;
}

TEST(Serve, AnswersACaseWithASampleAndWhatItNeeds) {
  const std::string dense = "dense/1x8x8x1024x1024x64/float32 2";
  const auto all = answers({dense, "forget", "machine"});
  EXPECT_GT(all.at(dense).at("ms"), 0.0);
  EXPECT_EQ(all.at(dense).at("flops"), 4.0 * 64 * 2 * 328 * 328);  // the reduced shape: 2 heads
  EXPECT_EQ(all.at(dense).at("density"), 1.0);
  EXPECT_EQ(all.at("forget"), nlohmann::json::object());
  EXPECT_FALSE(all.at("machine").at("machine").get<std::string>().empty());
}

TEST(Serve, AnswersWhatItCannotDoWithAnErrorAndGoesOn) {
  const std::string dense = "dense/1x8x8x1024x1024x64/float32";
  const std::string top_k = "top_k/rows=32/keys=4096/k=64 1";
  const auto all = answers({"nothing/such 1", "", dense + " none", dense + " 0", top_k});
  EXPECT_EQ(all.at("nothing/such 1").at("error"),
            "there is no case \"nothing/such\"; --list names them");
  EXPECT_EQ(all.at("").at("error"),
            "\"\" is no request; write a case's name and a number of threads");
  EXPECT_TRUE(all.at(dense + " none").contains("error"));
  EXPECT_EQ(all.at(dense + " 0").at("error"), "the number of threads must be at least 1, not 0");
  EXPECT_EQ(all.at(top_k).at("items"), 32.0 * 4096 / 16);
}

}  // namespace
}  // namespace maskerade
