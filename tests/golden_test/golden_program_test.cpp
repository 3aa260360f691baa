// The program golden_test over small folders of cases made here.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/framework/tensor_files/safetensors_for_test.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::json;

// How the program ended, and what it wrote to stdout and stderr.
struct ProgramResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class GoldenProgram : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path() / name, std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(folder_.path() / name).rdbuf();
    return text.str();
  }
  void write_manifest(const std::vector<Json>& cases) const {
    write("manifest.json", Json{{"format_version", 1}, {"cases", cases}}.dump());
  }
  ProgramResult run(const std::string& arguments = "") const {
    const std::string folder = folder_.path().string();
    const std::string command = "MASKERADE_GOLDEN_DIR='" + folder + "' '" + MASKERADE_TEST_GOLDEN +
                                "' " + arguments + " >'" + folder + "/out.txt' 2>'" + folder +
                                "/err.txt'";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read("out.txt"),
            folder_.shorten(read("err.txt"))};
  }

  // Tensors of float32 by name, in a file of the case's own.
  struct Values {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  Json add_case(Json golden, const std::vector<Values>& tensors) const {
    Json header = Json::object();
    std::string data;
    for (const Values& tensor : tensors) {
      // Integers are stored as such where the names say so.
      const bool integers = tensor.name == "count" || tensor.name == "row_idx" ||
                            tensor.name == "residual_count" || tensor.name == "budget";
      std::string bytes;
      if (integers) {
        for (const float value : tensor.values) {
          const auto whole = static_cast<std::int64_t>(value);
          bytes.append(reinterpret_cast<const char*>(&whole), sizeof(whole));
        }
      } else {
        bytes = bytes_of(DType::kFloat32, tensor.values);
      }
      header[tensor.name] = {{"dtype", integers ? "I64" : "F32"},
                             {"shape", tensor.shape},
                             {"data_offsets", {data.size(), data.size() + bytes.size()}}};
      data += bytes;
    }
    folder_.write(header.dump(), data);
    const auto file = golden.at("case").get<std::string>() + ".safetensors";
    std::filesystem::rename(folder_.file(), folder_.path() / file);
    golden["file"] = file;
    return golden;
  }
  static Json mask_op(const std::string& op) {
    return {{"case", op},        {"family", "mask_ops"},
            {"op", op},          {"batch", 1},
            {"query_heads", 1},  {"query_len", 1},
            {"key_len", 3},      {"tolerance", {{"rtol", 0.0}, {"atol", 0.0}}},
            {"hub_agrees", true}};
  }
  // Four equal keys, one query.
  static Json masker(const std::string& name, const std::string& size, int keys) {
    return {
        {"case", name},
        {"family", "maskers"},
        {"maskers", {{{"name", name}, {"params", {{size, 0.5}}}, {"resolved", {{size, keys}}}}}},
        {"batch", 1},
        {"query_heads", 1},
        {"kv_heads", 1},
        {"query_len", 1},
        {"key_len", 4},
        {"head_dim", 1},
        {"scale", 1.0},
        {"tolerance", {{"mask", "exact"}, {"weights_atol", 1e-6}}}};
  }
  static std::vector<Values> tensors_of_masker(const std::vector<float>& expected) {
    return {{"q", {1, 1, 1, 1}, {1}},
            {"k", {1, 1, 4, 1}, {1, 1, 1, 1}},
            {"v", {1, 1, 4, 1}, {1, 2, 3, 4}},
            {"expected_exact", {1, 1, 1, 4}, expected}};
  }

  DataFolder folder_;
};

TEST_F(GoldenProgram, MissingManifestIsBadInput) {
  const ProgramResult result = run();
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err,
            "golden_test: manifest.json: there is no such file; MASKERADE_GOLDEN_DIR must name a "
            "folder of golden cases\n");
}

TEST_F(GoldenProgram, MalformedManifestIsBadInput) {
  const auto error_of = [&](const std::string& manifest) {
    write("manifest.json", manifest);
    const ProgramResult result = run();
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_NE(error_of("{").find("manifest.json: this is not valid JSON"), std::string::npos);
  EXPECT_EQ(error_of("[]"), "golden_test: manifest.json: the manifest has no list \"cases\"\n");
  EXPECT_EQ(error_of(R"({"format_version": 1, "cases": []})"),
            "golden_test: manifest.json: the manifest lists no case\n");
  EXPECT_EQ(error_of(R"({"format_version": 2, "cases": [{}]})"),
            "golden_test: manifest.json: the manifest's format_version is not 1, the one that is "
            "known\n");
  EXPECT_EQ(error_of(R"({"format_version": 1, "cases": [{}]})"),
            "golden_test: manifest.json: case number 0 has no field \"case\"\n");
  EXPECT_EQ(error_of(R"({"format_version": 1, "cases": [{"case": "a", "file": "f"}]})"),
            "golden_test: manifest.json: case \"a\" has no field \"family\"\n");
}

TEST_F(GoldenProgram, UnknownArgumentIsBadInput) { EXPECT_EQ(run("--nothing").exit_code, 2); }

TEST_F(GoldenProgram, FailingCaseIsListedWithItsFirstMismatch) {
  write_manifest({add_case(mask_op("apply_mask"), {{"x", {1, 1, 1, 3}, {2, 4, 6}},
                                                   {"w", {1, 1, 1, 3}, {0, 0.5, 1}},
                                                   {"expected_exact", {1, 1, 1, 3}, {0, 2, 7}}})});
  const ProgramResult result = run();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.out.find("FAILED apply_mask (apply_mask.safetensors): apply_mask at "
                            "[0, 0, 0, 2]: 6, expected 7; 1 of 3 differ\n"
                            "golden_test: 0 passed, 1 failed, 0 not covered\n"),
            std::string::npos)
      << result.out;
}

TEST_F(GoldenProgram, PublishedResultsCountWhenTheyAreRequired) {
  const auto tensors = [](float published) {
    return std::vector<Values>{{"x", {1, 1, 1, 3}, {2, 4, 6}},
                               {"w", {1, 1, 1, 3}, {0, 0.5, 1}},
                               {"expected_exact", {1, 1, 1, 3}, {0, 2, 6}},
                               {"hub", {1, 1, 1, 3}, {0, 2, published}}};
  };
  write_manifest({add_case(mask_op("apply_mask"), tensors(6))});
  EXPECT_EQ(run("--require-published").exit_code, 0);
  write_manifest({add_case(mask_op("apply_mask"), tensors(7))});
  EXPECT_EQ(run().exit_code, 0);
  const ProgramResult result = run("--require-published");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.out.find("differs from the published code: apply_mask"), std::string::npos)
      << result.out;
}

TEST_F(GoldenProgram, UnreadableCaseFailsAlone) {
  Json missing = mask_op("density");
  missing["file"] = "nowhere.safetensors";
  write_manifest(
      {missing, add_case(masker("sink", "sink_size", 2), tensors_of_masker({1, 1, 0, 0}))});
  const ProgramResult result = run();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.out.find("golden_test: 1 passed, 1 failed, 0 not covered\n"), std::string::npos)
      << result.out;
}

TEST_F(GoldenProgram, UnbuiltMaskersAreNotCoveredAndNeverPassed) {
  write_manifest({add_case(masker("no_such_masker", "size", 2), tensors_of_masker({1, 1, 0, 0}))});
  const ProgramResult result = run();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("not covered, 1 cases: no_such_masker is not built\n"
                            "golden_test: 0 passed, 0 failed, 1 not covered\n"),
            std::string::npos)
      << result.out;
  EXPECT_EQ(run("--require-all").exit_code, 1);
}

TEST_F(GoldenProgram, EveryAcceptableAnswerToATiePasses) {
  // The stored answer prefers the higher keys; ours takes the lower ones.
  std::vector<Values> tensors = tensors_of_masker({0, 0, 1, 1});
  tensors.push_back({"must", {1, 1, 1, 4}, {0, 0, 0, 0}});
  tensors.push_back({"may", {1, 1, 1, 4}, {1, 1, 1, 1}});
  tensors.push_back({"count", {1, 1, 1}, {2}});
  const auto values_of = [&](const std::string& name) -> std::vector<float>& {
    for (Values& tensor : tensors) {
      if (tensor.name == name) return tensor.values;
    }
    throw std::out_of_range("no tensor " + name);
  };
  const Json golden = masker("oracle_topk", "heavy_size", 2);
  write_manifest({add_case(golden, tensors)});
  EXPECT_EQ(run().exit_code, 0);
  values_of("count") = {3};
  write_manifest({add_case(golden, tensors)});
  EXPECT_EQ(run().exit_code, 1);
  values_of("count") = {2};
  values_of("may") = {0, 1, 1, 1};
  write_manifest({add_case(golden, tensors)});
  EXPECT_EQ(run().exit_code, 1);
}

// Statistics of one sampler, for one query.
Json sampler(const std::string& name, const Json& params, const Json& resolved, int keys) {
  return {
      {"case", name},
      {"family", "stats"},
      {"maskers", {{{"name", name}, {"params", params}, {"resolved", resolved}}}},
      {"batch", 1},
      {"query_heads", 1},
      {"kv_heads", 1},
      {"query_len", 1},
      {"key_len", keys},
      {"head_dim", 1},
      {"scale", 1.0},
      {"tolerance", {{"rtol", 1e-5}, {"atol", 1e-6}, {"budget_rtol", 1e-4}, {"budget_atol", 1}}}};
}

TEST_F(GoldenProgram, DrawingEveryKeyHasNoVarianceAndIsExact) {
  Json golden = sampler("random_sampling", {{"sampling_rate", 1.0}}, {{"draws", 4}}, 4);
  golden["draws"] = 4;
  const std::vector<float> logits = {0.1F, 0.7F, -0.3F, 0.2F};
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - double{logits[1]});
  const auto tensors = [&](double den) {
    return std::vector<Values>{{"q", {1, 1, 1, 1}, {1}},
                               {"k", {1, 1, 4, 1}, logits},
                               {"row_max", {1, 1, 1}, {logits[1]}},
                               {"den", {1, 1, 1}, {static_cast<float>(den)}},
                               {"den_var_without_replacement", {1, 1, 1}, {0}}};
  };
  write_manifest({add_case(golden, tensors(sum))});
  ProgramResult result = run("--require-all");
  EXPECT_EQ(result.exit_code, 0) << result.out;
  write_manifest({add_case(golden, tensors(1.001 * sum))});
  result = run();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.out.find("denominator of row 0 at [0]"), std::string::npos) << result.out;
}

// A rate whose product with the keys is one less in double precision than it is exactly.
TEST_F(GoldenProgram, SamplersDrawWhatTheManifestResolves) {
  Json golden = sampler("random_sampling", {{"sampling_rate", 0.29}}, {{"draws", 28}}, 100);
  golden["draws"] = 28;
  write_manifest({add_case(golden, {{"q", {1, 1, 1, 1}, {1}},
                                    {"k", {1, 1, 100, 1}, std::vector<float>(100)},
                                    {"row_max", {1, 1, 1}, {0}},
                                    {"den", {1, 1, 1}, {100}},
                                    {"den_var_without_replacement", {1, 1, 1}, {0}}})});
  const ProgramResult result = run("--require-all");
  EXPECT_EQ(result.exit_code, 0) << result.out;
}

TEST_F(GoldenProgram, OffsetsOfASamplerAreTheResolvedRange) {
  // Equal keys, so that everything is 1: of ten, keys 2 to 6 may be sampled, the others are active.
  const auto with_offsets = [&](const Json& params, int start, int end) {
    std::vector<float> residual(10);
    std::vector<float> prev(10, 1);
    for (int key = 2; key < 7; ++key) {
      residual[static_cast<std::size_t>(key)] = 1;
      prev[static_cast<std::size_t>(key)] = 0;
    }
    write_manifest(
        {add_case(sampler("adaptive_sampling", params, {{"start", start}, {"end", end}}, 10),
                  {{"q", {1, 1, 1, 1}, {1}},
                   {"k", {1, 1, 10, 1}, std::vector<float>(10)},
                   {"prev", {1, 1, 1, 10}, prev},
                   {"residual", {1, 1, 1, 10}, residual},
                   {"row_max", {1, 1, 1}, {0}},
                   {"static_den", {1, 1, 1}, {5}},
                   {"residual_den", {1, 1, 1}, {5}},
                   {"residual_var", {1, 1, 1}, {0}},
                   {"residual_var_sample", {1, 1, 1}, {0}},
                   {"residual_count", {1, 1, 1}, {5}},
                   {"epsilon", {1}, {0.1F}},
                   {"delta", {1}, {0.1F}},
                   {"z", {1}, {1.28F}},
                   {"z_two_sided", {1}, {1.64F}},
                   {"budget", {1, 1, 1, 1}, {1}},
                   {"budget_real", {1, 1, 1, 1}, {0}},
                   {"budget_real_two_sided", {1, 1, 1, 1}, {0}}})});
    return run("--require-all");
  };
  for (const Json& params : {Json{{"init_offset", 2}, {"local_offset", 3}},
                             Json{{"init_offset", 0.29}, {"local_offset", 0.3}}}) {
    const ProgramResult result = with_offsets(params, 2, 7);
    EXPECT_EQ(result.exit_code, 0) << params << result.out;
  }
}

TEST_F(GoldenProgram, OneHashTableHasNoFormOfTwoMatches) {
  const Json golden =
      sampler("magic_pig", {{"lsh_l", 1}, {"lsh_k", 1}, {"center", false}}, Json(), 2);
  const auto tensors = [](float second, bool with_two) {
    std::vector<Values> all = {{"q", {1, 1, 1, 2}, {1, 0}},
                               {"k", {1, 1, 2, 2}, {1, 0, 0, 1}},
                               {"expected_exact", {1, 1, 1, 2}, {1, second}}};
    if (with_two) all.push_back({"exact_two", {1, 1, 1, 2}, {0, 0}});
    return all;
  };
  Json wide = golden;
  wide["head_dim"] = 2;
  for (const bool with_two : {false, true}) {
    write_manifest({add_case(wide, tensors(0.5F, with_two))});
    const ProgramResult result = run("--require-all");
    EXPECT_EQ(result.exit_code, 0) << result.out;
    write_manifest({add_case(wide, tensors(0.6F, with_two))});
    EXPECT_EQ(run().exit_code, 1);
  }
}

TEST_F(GoldenProgram, HiddenKeysOfTheStoredMaskAreDropped) {
  Json golden = masker("sink", "sink_size", 2);
  golden["causal"] = true;
  golden["query_len"] = 4;
  write_manifest({add_case(
      golden,
      {{"q", {1, 1, 4, 1}, {1, 1, 1, 1}},
       {"k", {1, 1, 4, 1}, {1, 1, 1, 1}},
       {"v", {1, 1, 4, 1}, {1, 2, 3, 4}},
       {"expected_exact", {1, 1, 4, 4}, {1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0}}})});
  EXPECT_EQ(run().exit_code, 0);
}

TEST_F(GoldenProgram, DuplicatesAreRefusedAndTheLastCounts) {
  Json golden = mask_op("from_row_wise");
  golden["edge"] = "duplicates";
  const auto tensors = [](std::vector<float> keys) {
    return std::vector<Values>{{"row_idx", {1, 1, 1, 2}, std::move(keys)},
                               {"row_data", {1, 1, 1, 2}, {0.5, 0.25}},
                               {"expected_exact", {1, 1, 1, 3}, {0, 0.25, 0}}};
  };
  write_manifest({add_case(golden, tensors({1, 1}))});
  EXPECT_EQ(run().exit_code, 0);
  write_manifest({add_case(golden, tensors({-1, 1}))});
  EXPECT_EQ(run().exit_code, 1);
}

TEST_F(GoldenProgram, SizeOfZeroMayBeRefusedOrTakeNothing) {
  Json golden = masker("sink", "sink_size", 0);
  golden["edge"] = "zero_size";
  write_manifest({add_case(golden, tensors_of_masker({0, 0, 0, 0}))});
  EXPECT_EQ(run().exit_code, 0);
}

}  // namespace
}  // namespace maskerade
