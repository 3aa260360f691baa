#include "experiments/data/workload.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/error.hpp"
#include "tests/experiments/data/workload_for_test.hpp"

namespace maskerade {
namespace {

const std::vector<TensorText> kGood = {
    {"q", {2, 4, 3, 8}}, {"k", {2, 2, 5, 8}}, {"v", {2, 2, 5, 8}}};

WorkloadSpec gaussian_spec() {
  WorkloadSpec spec;
  spec.name = "w";
  spec.position = {"x.yaml", 2, 1};
  spec.source = source_of("{kind: gaussian, seed: 7}");
  spec.batch = 2;
  spec.query_heads = 4;
  spec.kv_heads = 2;
  spec.query_len = 3;
  spec.key_len = 5;
  spec.head_dim = 16;
  spec.dtype = DType::kBFloat16;
  spec.causal = true;
  return spec;
}

TEST(Workload, GaussianHasTheStatedShape) {
  const Workload workload = load_workload(gaussian_spec());
  EXPECT_EQ(workload.shape.to_string(), "(2, 4, 2, 3, 5, 16)");
  EXPECT_EQ(workload.dtype, DType::kBFloat16);
  EXPECT_TRUE(workload.causal);
  EXPECT_EQ(workload.scale, 0.25F);
  EXPECT_EQ(workload.layer, 0);
  EXPECT_EQ(workload.source, "gaussian seed 7");
  const AttentionInputs inputs = workload.inputs();
  EXPECT_NO_THROW(inputs.validate());
  EXPECT_TRUE(inputs.visibility.is_causal());
  EXPECT_EQ(inputs.visibility.end(0), 3);
}

TEST(Workload, AStatedScaleWins) {
  WorkloadSpec spec = gaussian_spec();
  spec.scale = 0.5;
  EXPECT_EQ(load_workload(spec).scale, 0.5F);
}

TEST(Workload, GaussianErrorsStandAtTheWorkload) {
  const DataFolder folder;
  WorkloadSpec spec = gaussian_spec();
  spec.key_len.reset();
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:2:1: workload \"w\" has no key_len; a gaussian source takes its sizes from the "
            "experiment file");
  spec = gaussian_spec();
  spec.kv_heads = 3;
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:2:1: workload \"w\": query_heads is 4, which is not a multiple of kv_heads, 3");
  spec = gaussian_spec();
  spec.query_len = 6;
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:2:1: workload \"w\" is causal with query_len 6 above key_len 5; a causal "
            "workload needs query_len <= key_len, or causal: false");
}

TEST(Workload, AFileGivesShapeTypeAndMetadata) {
  const DataFolder folder;
  write_tensors(folder, kGood,
                R"("__metadata__":{"layer":"3","causal":"true","scale":"0.125","other":"x"})");
  const Workload workload = load_workload(file_spec(folder));
  EXPECT_EQ(workload.shape.to_string(), "(2, 4, 2, 3, 5, 8)");
  EXPECT_EQ(workload.dtype, DType::kFloat32);
  EXPECT_TRUE(workload.causal);
  EXPECT_EQ(workload.scale, 0.125F);
  EXPECT_EQ(workload.layer, 3);
  EXPECT_EQ(workload.source, "x.safetensors");
  EXPECT_NO_THROW(workload.inputs().validate());
}

TEST(Workload, AFileWithoutMetadataHasDefaults) {
  const DataFolder folder;
  write_tensors(folder, {{"a", {4, 3, 16}}, {"b", {2, 5, 16}}, {"c", {2, 5, 16}}});
  const Workload workload = load_workload(file_spec(folder, "query: a, key: b, value: c"));
  EXPECT_EQ(workload.shape.to_string(), "(1, 4, 2, 3, 5, 16)");
  EXPECT_FALSE(workload.causal);
  EXPECT_EQ(workload.scale, 0.25F);
  EXPECT_EQ(workload.layer, 0);
}

TEST(Workload, TheExperimentWinsOverTheFileForScaleAndCausality) {
  const DataFolder folder;
  write_tensors(folder, kGood, R"("__metadata__":{"causal":"true","scale":"0.125"})");
  WorkloadSpec spec = file_spec(folder);
  spec.causal = false;
  spec.scale = 2;
  const Workload workload = load_workload(spec);
  EXPECT_FALSE(workload.causal);
  EXPECT_EQ(workload.scale, 2);
}

TEST(Workload, StatedSizesMustAgreeWithTheFile) {
  const DataFolder folder;
  write_tensors(folder, kGood);
  WorkloadSpec spec = file_spec(folder);
  spec.batch = 2;
  spec.query_heads = 4;
  spec.kv_heads = 2;
  spec.query_len = 3;
  spec.key_len = 5;
  spec.head_dim = 8;
  spec.dtype = DType::kFloat32;
  EXPECT_EQ(load_error(folder, spec), "accepted");
  spec.key_len = 6;
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:2:1: workload \"w\" states key_len 6, but x.safetensors has key_len 5; remove "
            "the statement or change the file");
  spec.key_len = 5;
  spec.dtype = DType::kFloat16;
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:2:1: workload \"w\" states dtype float16, but x.safetensors has dtype float32; "
            "remove the statement or change the file");
}

TEST(Workload, TensorsMustFitTogether) {
  const DataFolder folder;
  const auto error = [&](const std::vector<TensorText>& tensors) {
    write_tensors(folder, tensors);
    return load_error(folder, file_spec(folder));
  };
  EXPECT_EQ(error({{"q", {1, 4, 3, 8}}, {"k", {1, 2, 5, 8}}, {"v", {1, 2, 6, 8}}}),
            "x.safetensors: tensor \"v\": its shape is [1, 2, 6, 8], that of k is [1, 2, 5, 8]; "
            "keys and values must have the same shape");
  EXPECT_EQ(error({{"q", {1, 4, 3, 4}}, {"k", {1, 2, 5, 8}}, {"v", {1, 2, 5, 8}}}),
            "x.safetensors: tensor \"q\": q is [1, 4, 3, 4], k is [1, 2, 5, 8]; queries and keys "
            "must have the same batch and head_dim");
  EXPECT_EQ(error({{"q", {2, 4, 3, 8}}, {"k", {1, 2, 5, 8}}, {"v", {1, 2, 5, 8}}}),
            "x.safetensors: tensor \"q\": q is [2, 4, 3, 8], k is [1, 2, 5, 8]; queries and keys "
            "must have the same batch and head_dim");
  EXPECT_EQ(error({{"q", {1, 3, 3, 8}}, {"k", {1, 2, 5, 8}}, {"v", {1, 2, 5, 8}}}),
            "x.safetensors: tensor \"q\": q is [1, 3, 3, 8], k is [1, 2, 5, 8]; the query heads "
            "must be a multiple of the key heads");
  EXPECT_EQ(error({{"q", {1, 4, 3, 8}, DType::kFloat16},
                   {"k", {1, 2, 5, 8}, DType::kFloat16},
                   {"v", {1, 2, 5, 8}, DType::kBFloat16}}),
            "x.safetensors: tensor \"v\": its type is bfloat16, that of q is float16; all three "
            "must be the same");
  EXPECT_EQ(error({{"q", {1, 4, 3, 8}}, {"k", {1, 2, 5, 8}}}),
            "x.safetensors: tensor \"v\": there is no such tensor; the file has: k, q");
}

TEST(Workload, NumbersMustBeFinite) {
  const DataFolder folder;
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    for (const auto& [value, text] : {std::pair(infinity, "infinite"),
                                      std::pair(-infinity, "infinite"), std::pair(nan, "NaN")}) {
      std::vector<float> values(2 * 2 * 5 * 8, 1.0F);
      values[((1 * 2 + 0) * 5 + 4) * 8 + 6] = value;
      write_tensors(folder, {{"q", {2, 4, 3, 8}, dtype},
                             {"k", {2, 2, 5, 8}, dtype, values},
                             {"v", {2, 2, 5, 8}, dtype}});
      EXPECT_EQ(load_error(folder, file_spec(folder)),
                "x.safetensors: tensor \"k\": element [1, 0, 4, 6] is " + std::string(text) +
                    "; q, k and v must be finite");
    }
  }
}

TEST(Workload, TheLargestFiniteNumbersAreAccepted) {
  const DataFolder folder;
  std::vector<float> values(2 * 2 * 5 * 8, 65504.0F);
  values[0] = -65504.0F;
  values[1] = 0x1p-24F;  // the smallest denormal of float16
  write_tensors(folder, {{"q", {2, 4, 3, 8}, DType::kFloat16},
                         {"k", {2, 2, 5, 8}, DType::kFloat16, values},
                         {"v", {2, 2, 5, 8}, DType::kFloat16}});
  EXPECT_EQ(load_error(folder, file_spec(folder)), "accepted");
}

TEST(Workload, BadMetadataIsRefused) {
  const DataFolder folder;
  const auto error = [&](const std::string& metadata) {
    write_tensors(folder, kGood, "\"__metadata__\":{" + metadata + "}");
    return load_error(folder, file_spec(folder));
  };
  const std::string scale_rule =
      "; it must be a number above 0 in the range of float32, such as 0.125 or 1e-5";
  EXPECT_EQ(error(R"("causal":"yes")"),
            "x.safetensors: __metadata__ \"causal\" is \"yes\"; it must be true or false");
  EXPECT_EQ(error(R"("scale":"0")"), "x.safetensors: __metadata__ \"scale\" is \"0\"" + scale_rule);
  EXPECT_EQ(error(R"("scale":"0.1x")"),
            "x.safetensors: __metadata__ \"scale\" is \"0.1x\"" + scale_rule);
  EXPECT_EQ(error(R"("scale":"1e39")"),
            "x.safetensors: __metadata__ \"scale\" is \"1e39\"" + scale_rule);
  EXPECT_EQ(error(R"("scale":"1e-60")"),
            "x.safetensors: __metadata__ \"scale\" is \"1e-60\"" + scale_rule);
  EXPECT_EQ(error(R"("layer":"-1")"),
            "x.safetensors: __metadata__ \"layer\" is \"-1\"; it must be a whole number from 0");
  EXPECT_EQ(error(R"("layer":"1.5")"),
            "x.safetensors: __metadata__ \"layer\" is \"1.5\"; it must be a whole number from 0");
}

TEST(Workload, ACausalFileNeedsEnoughKeys) {
  const DataFolder folder;
  write_tensors(folder, {{"q", {1, 1, 6, 8}}, {"k", {1, 1, 5, 8}}, {"v", {1, 1, 5, 8}}},
                R"("__metadata__":{"causal":"true"})");
  EXPECT_EQ(load_error(folder, file_spec(folder)),
            "x.yaml:2:1: workload \"w\" is causal with query_len 6 above key_len 5; a causal "
            "workload needs query_len <= key_len, or causal: false");
}

TEST(Workload, TheRealDataLoads) {
  for (const int layer : {1, 5}) {
    WorkloadSpec spec;
    spec.name = "real";
    const std::string name = "minilm_l6_layer" + std::to_string(layer) + "_qkv.safetensors";
    spec.source = source_of("{kind: safetensors, file: data/" + name + "}", EXPERIMENTS_FOLDER);
    const Workload workload = load_workload(spec);
    EXPECT_EQ(workload.shape.to_string(), "(1, 12, 12, 512, 512, 32)");
    EXPECT_EQ(workload.dtype, DType::kFloat16);
    EXPECT_FALSE(workload.causal);
    EXPECT_EQ(workload.layer, layer);
    EXPECT_FLOAT_EQ(workload.scale, static_cast<float>(1 / std::sqrt(32.0)));
    EXPECT_EQ(workload.source, name);
    EXPECT_NO_THROW(workload.inputs().validate());
  }
}

TEST(Workload, TheDataOfTheLanguageModelLoads) {
  for (const auto& [text, layer] : {std::pair("documentation", 3), std::pair("licence", 20)}) {
    WorkloadSpec spec;
    spec.name = "language";
    spec.source = source_of("{kind: safetensors, file: data/smollm2/" + std::string(text) +
                                ".safetensors, layers: [" + std::to_string(layer) + "]}",
                            EXPERIMENTS_FOLDER);
    const Workload workload = load_workload(spec);
    EXPECT_EQ(workload.shape.to_string(), "(1, 9, 3, 128, 4096, 64)");
    EXPECT_EQ(workload.dtype, DType::kFloat16);
    EXPECT_TRUE(workload.causal);
    EXPECT_EQ(workload.layer, layer);
    EXPECT_EQ(workload.scale, 0.125F);
    EXPECT_EQ(workload.query_positions.size(), 128U);
    EXPECT_NO_THROW(workload.inputs().validate());
  }
}

}  // namespace
}  // namespace maskerade
