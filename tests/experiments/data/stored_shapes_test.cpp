// Files whose shapes or metadata say otherwise than how they are read.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "experiments/data/workload.hpp"
#include "tests/experiments/data/workload_for_test.hpp"
#include "tests/framework/tensor_files/npy_for_test.hpp"

namespace maskerade {
namespace {

using Shape = std::vector<std::int64_t>;

// What loading x.safetensors with these shapes gives: an error, or the workload's shape.
std::string read_as(const Shape& q,
                    const Shape& k,
                    const std::string& keys = "",
                    const std::string& metadata = "") {
  const DataFolder folder;
  write_tensors(folder, {{"q", q}, {"k", k}, {"v", k}},
                metadata.empty() ? "" : "\"__metadata__\":{" + metadata + "}");
  const WorkloadSpec spec = file_spec(folder, keys);
  const std::string error = load_error(folder, spec);
  return error == "accepted" ? load_workload(spec).shape.to_string() : error;
}

std::vector<NamedSource> sources_of(const std::string& mapping, const DataFolder& folder) {
  return read_source(parse_yaml(mapping, "source.yaml"), folder.path());
}

bool is_refused_for_layout(const std::string& text) {
  return text.find("state in the source layout: blhd") != std::string::npos;
}

TEST(StoredShapes, KeysWithTwiceAsManyHeadsAsTokensNeedALayout) {
  EXPECT_EQ(read_as({1, 64, 12, 8}, {1, 64, 12, 8}),
            "x.safetensors: tensor \"k\": read as bhld, the default layout, its shape [1, 64, 12, "
            "8] has 64 heads of 12 tokens; state in the source layout: blhd where the axes are "
            "[batch, length, heads, head_dim] or [length, heads, head_dim], or layout: bhld where "
            "the shape is right");
  EXPECT_EQ(read_as({1, 64, 12, 8}, {1, 64, 12, 8}, "layout: blhd"), "(1, 12, 12, 64, 64, 8)");
  EXPECT_EQ(read_as({1, 64, 12, 8}, {1, 64, 12, 8}, "layout: bhld"), "(1, 64, 64, 12, 12, 8)");
}

TEST(StoredShapes, ALayoutIsAskedForWhateverTheGroupsAndTheAxes) {
  EXPECT_TRUE(is_refused_for_layout(read_as({2, 64, 12, 8}, {2, 64, 4, 8})));  // grouped
  EXPECT_TRUE(is_refused_for_layout(read_as({64, 12, 8}, {64, 12, 8})));       // no batch axis
  EXPECT_TRUE(is_refused_for_layout(read_as({1, 1, 12, 8}, {1, 64, 4, 8})));   // decoding
  EXPECT_TRUE(is_refused_for_layout(read_as({1, 16, 12, 8}, {1, 64, 4, 8})));  // fewer queries
  // q and k lie in different layouts.
  EXPECT_TRUE(is_refused_for_layout(read_as({1, 64, 12, 8}, {1, 4, 64, 8})));
  EXPECT_TRUE(is_refused_for_layout(read_as({1, 12, 64, 8}, {1, 64, 12, 8})));
}

// Small files are read, and the report notes it, see
// Table.NotesKeysThatAFileGivesMoreHeadsThanTokens.
TEST(StoredShapes, AFewMoreHeadsThanTokensAreRead) {
  EXPECT_EQ(read_as({1, 4, 3, 8}, {1, 4, 3, 8}), "(1, 4, 4, 3, 3, 8)");
  EXPECT_TRUE(is_refused_for_layout(read_as({1, 6, 3, 8}, {1, 6, 3, 8})));
}

TEST(StoredShapes, FewQueriesOfManyHeadsAreRead) {
  EXPECT_EQ(read_as({1, 32, 1, 8}, {1, 8, 64, 8}), "(1, 32, 8, 1, 64, 8)");
  EXPECT_EQ(read_as({1, 32, 1, 8}, {1, 32, 32, 8}), "(1, 32, 32, 1, 32, 8)");
  EXPECT_EQ(read_as({1, 32, 16, 8}, {1, 8, 64, 8}), "(1, 32, 8, 16, 64, 8)");
  EXPECT_EQ(read_as({32, 5, 8}, {8, 64, 8}), "(1, 32, 8, 5, 64, 8)");
}

TEST(StoredShapes, TheLayoutOfTheMetadataMustBeTheOneThatIsRead) {
  const Shape shape = {1, 64, 12, 8};
  EXPECT_EQ(read_as(shape, shape, "", R"("layout":"blhd")"),
            "x.safetensors: tensor \"k\": __metadata__ \"layout\" says blhd, but the axes are read "
            "as bhld; write layout: blhd in the source, or correct the metadata");
  EXPECT_NE(read_as({1, 12, 64, 8}, {1, 12, 64, 8}, "layout: blhd", R"("layout":"BHSD")")
                .find("says bhld, but the axes are read as blhd"),
            std::string::npos);
  for (const char* heads_last : {"blhd", "BSHD", "[batch, length, heads, head_dim]", "nhd"}) {
    EXPECT_EQ(
        read_as(shape, shape, "layout: blhd", "\"layout\":\"" + std::string(heads_last) + "\""),
        "(1, 12, 12, 64, 64, 8)")
        << heads_last;
  }
  EXPECT_EQ(read_as(shape, shape, "", R"("layout":"bhld")"), "(1, 64, 64, 12, 12, 8)");
  EXPECT_EQ(read_as({1, 4, 9, 8}, {1, 2, 9, 8}, "", R"("layout":"row major")"),
            "(1, 4, 2, 9, 9, 8)");
}

TEST(StoredShapes, TheSizesOfTheMetadataMustBeThoseThatAreRead) {
  const auto with = [](const std::string& metadata) {
    return read_as({1, 4, 9, 8}, {1, 2, 12, 8}, "", metadata);
  };
  EXPECT_EQ(with(R"("num_heads":"2")"),
            "x.safetensors: tensor \"q\": __metadata__ \"num_heads\" is 2, but as bhld the tensor "
            "has query_heads 4; state the layout of the axes in the source, or query_heads: 4 in "
            "the workload where the tensor is right, or correct the metadata");
  for (const char* wrong :
       {R"("query_heads":"8")", R"("num_attention_heads":"9")", R"("kv_heads":"4")",
        R"("num_key_value_heads":"1")", R"("head_dim":"64")", R"("seq_len":"9")",
        R"("tokens":"13")", R"("batch_size":"2")", R"("query_len":"12")"}) {
    EXPECT_NE(with(wrong).find("correct the metadata"), std::string::npos) << wrong;
  }
  EXPECT_EQ(with(R"("num_heads":"4","num_kv_heads":"2","head_dim":"8","seq_len":"12",)"
                 R"("query_len":"9","heads":"first and last","batch_size":" 1 ")"),
            "(1, 4, 2, 9, 12, 8)");
}

TEST(StoredShapes, AStatedSizeWinsOverTheMetadata) {
  const DataFolder folder;
  write_tensors(folder, {{"q", {1, 4, 9, 8}}, {"k", {1, 2, 12, 8}}, {"v", {1, 2, 12, 8}}},
                R"("__metadata__":{"num_heads":"32"})");
  WorkloadSpec spec = file_spec(folder);
  EXPECT_NE(load_error(folder, spec), "accepted");
  spec.query_heads = 4;  // of 32 heads that the model has, those that were kept
  EXPECT_EQ(load_error(folder, spec), "accepted");
}

// layers.0 has 4 heads of 9 tokens.
TEST(StoredShapes, LayersMustAgree) {
  const auto error = [](const Shape& q, const Shape& k) {
    const DataFolder folder;
    write_tensors(folder, {{"layers.0.q", {1, 4, 9, 8}},
                           {"layers.0.k", {1, 2, 9, 8}},
                           {"layers.0.v", {1, 2, 9, 8}},
                           {"layers.1.q", q},
                           {"layers.1.k", k},
                           {"layers.1.v", k}});
    const auto sources =
        sources_of("{kind: safetensors, file: x.safetensors, layers: [0, 1]}", folder);
    WorkloadSpec spec;
    spec.name = "w";
    spec.source = sources.at(0).source;
    EXPECT_EQ(load_error(folder, spec), "accepted");
    spec.source = sources.at(1).source;
    return load_error(folder, spec);
  };
  EXPECT_EQ(error({1, 4, 9, 8}, {1, 2, 9, 8}), "accepted");
  EXPECT_EQ(
      error({1, 4, 10, 8}, {1, 2, 9, 8}),
      "x.safetensors: tensor \"layers.1.q\": its shape is [1, 4, 10, 8], that of layers.0.q is "
      "[1, 4, 9, 8]; the layers of one source must agree: give a layer of another shape a "
      "workload of its own, or correct the file");
  EXPECT_NE(error({1, 9, 4, 8}, {1, 9, 2, 8}), "accepted");
  EXPECT_NE(error({1, 4, 9, 8}, {1, 4, 9, 8}), "accepted");
  EXPECT_NE(error({1, 4, 9, 16}, {1, 2, 9, 16}), "accepted");
}

TEST(StoredShapes, NpyFilesAreLookedAtAlike) {
  const DataFolder folder;
  const auto write = [&](const std::string& name, const std::string& shape, std::size_t count) {
    write_file(folder.path() / (name + ".npy"),
               npy_start(npy_header("<f4", shape)) +
                   bytes_of(DType::kFloat32, std::vector<float>(count, 1.0F)));
  };
  for (const char* name : {"q_0", "k_0", "v_0"}) write(name, "(64, 12, 8)", 64 * 12 * 8);
  for (const char* name : {"q_1", "k_1", "v_1"}) write(name, "(12, 64, 8)", 64 * 12 * 8);
  const auto error = [&](const std::string& layers, std::size_t index, const std::string& keys) {
    WorkloadSpec spec;
    spec.name = "w";
    spec.source = sources_of(
                      "{kind: npy, query: \"q_{layer}.npy\", key: \"k_{layer}.npy\", value: "
                      "\"v_{layer}.npy\", layers: " +
                          layers + keys + "}",
                      folder)
                      .at(index)
                      .source;
    return load_error(folder, spec);
  };
  EXPECT_NE(error("[0]", 0, "").find("k_0.npy: read as bhld"), std::string::npos);
  EXPECT_EQ(error("[0]", 0, ", layout: blhd"), "accepted");
  EXPECT_EQ(error("[1]", 0, ""), "accepted");
  EXPECT_NE(error("[0, 1]", 1, ", layout: blhd").find("the layers of one source must agree"),
            std::string::npos);
}

}  // namespace
}  // namespace maskerade
