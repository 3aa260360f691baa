#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "experiments/data/fingerprint.hpp"
#include "experiments/data/query_sample.hpp"
#include "experiments/data/workload.hpp"
#include "experiments/sources/gaussian.hpp"
#include "framework/base/error.hpp"
#include "framework/base/process_limits.hpp"
#include "tests/experiments/data/workload_for_test.hpp"
#include "tests/framework/tensor_files/npy_for_test.hpp"

namespace maskerade {
namespace {

using Positions = std::vector<std::int64_t>;

// The float32 values of a gaussian tensor, in a layout.
std::vector<float> values_of(GaussianTensor tensor,
                             std::int64_t heads,
                             std::int64_t length,
                             TensorLayout layout) {
  const Tensor numbers = gaussian_tensor(3, tensor, DType::kFloat32, 2, heads, length, 8);
  const std::int64_t outer = layout == TensorLayout::kBhld ? heads : length;
  const std::int64_t inner = layout == TensorLayout::kBhld ? length : heads;
  std::vector<float> values;
  std::vector<float> row(8);
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t i = 0; i < outer; ++i) {
      for (std::int64_t j = 0; j < inner; ++j) {
        numbers.view().load_row(b, layout == TensorLayout::kBhld ? i : j,
                                layout == TensorLayout::kBhld ? j : i, row.data());
        values.insert(values.end(), row.begin(), row.end());
      }
    }
  }
  return values;
}

TensorText tensor_text(const std::string& name,
                       GaussianTensor tensor,
                       std::int64_t heads,
                       std::int64_t length,
                       TensorLayout layout) {
  const std::vector<std::int64_t> shape = layout == TensorLayout::kBhld
                                              ? std::vector<std::int64_t>{2, heads, length, 8}
                                              : std::vector<std::int64_t>{2, length, heads, 8};
  return {name, shape, DType::kFloat32, values_of(tensor, heads, length, layout)};
}

// q [2, 4, 6, 8], k and v [2, 2, 9, 8] in x.safetensors.
void write_problem(const DataFolder& folder,
                   TensorLayout layout = TensorLayout::kBhld,
                   const std::string& metadata = R"("__metadata__":{"causal":"true"})") {
  write_tensors(folder,
                {tensor_text("q", GaussianTensor::kQuery, 4, 6, layout),
                 tensor_text("k", GaussianTensor::kKey, 2, 9, layout),
                 tensor_text("v", GaussianTensor::kValue, 2, 9, layout)},
                metadata);
}

// The key of a source that states a layout.
std::string layout_key(TensorLayout layout) {
  return layout == TensorLayout::kBhld ? "layout: bhld" : "layout: blhd";
}

// The files of q, k and v, without their ending. `keys` are added to the source.
struct NpyNames {
  std::string query;
  std::string key;
  std::string value;
};
std::shared_ptr<const Source> npy_source_of(const DataFolder& folder,
                                            const NpyNames& names,
                                            const std::string& keys = "") {
  return source_of("{kind: npy, query: " + names.query + ".npy, key: " + names.key +
                       ".npy, value: " + names.value + ".npy, " + keys + "}",
                   folder.path());
}

// The same numbers in q.npy, k.npy and v.npy.
WorkloadSpec write_npy_problem(const DataFolder& folder,
                               TensorLayout layout = TensorLayout::kBhld) {
  const auto write = [&](const std::string& name, GaussianTensor tensor, std::int64_t heads,
                         std::int64_t length) {
    const TensorText text = tensor_text(name, tensor, heads, length, layout);
    std::string shape;
    for (const std::int64_t size : text.shape) shape += std::to_string(size) + ", ";
    write_file(folder.path() / (name + ".npy"), npy_start(npy_header("<f4", "(" + shape + ")")) +
                                                    bytes_of(DType::kFloat32, text.values));
  };
  write("q", GaussianTensor::kQuery, 4, 6);
  write("k", GaussianTensor::kKey, 2, 9);
  write("v", GaussianTensor::kValue, 2, 9);
  WorkloadSpec spec;
  spec.name = "w";
  spec.position = {"x.yaml", 2, 1};
  spec.source = npy_source_of(folder, {"q", "k", "v"}, layout_key(layout));
  spec.causal = true;
  return spec;
}

// A number in a row of q, wherever it lies.
float query_number(const Workload& workload, std::int64_t b, std::int64_t h, std::int64_t i) {
  std::vector<float> row(static_cast<std::size_t>(workload.shape.head_dim));
  workload.q.view().load_row(b, h, i, row.data());
  return row[3];
}

TEST(WorkloadSources, LayoutsAndFormatsGiveTheSameData) {
  const DataFolder folder;
  write_problem(folder);
  const Workload plain = load_workload(file_spec(folder));
  EXPECT_EQ(plain.shape.to_string(), "(2, 4, 2, 6, 9, 8)");
  EXPECT_EQ(plain.fingerprint.size(), 64U);

  const DataFolder turned;
  write_problem(turned, TensorLayout::kBlhd);
  const Workload heads_last = load_workload(file_spec(turned, "layout: blhd"));
  EXPECT_EQ(heads_last.shape, plain.shape);
  EXPECT_EQ(heads_last.q.view().row_stride, 4 * 8);
  EXPECT_EQ(query_number(heads_last, 1, 2, 5), query_number(plain, 1, 2, 5));
  EXPECT_EQ(heads_last.fingerprint, plain.fingerprint);

  const Workload npy = load_workload(write_npy_problem(folder));
  EXPECT_EQ(npy.shape, plain.shape);
  EXPECT_EQ(npy.source, "q.npy");
  EXPECT_TRUE(npy.causal);
  EXPECT_EQ(npy.fingerprint, plain.fingerprint);
  EXPECT_EQ(load_workload(write_npy_problem(turned, TensorLayout::kBlhd)).fingerprint,
            plain.fingerprint);
}

TEST(WorkloadSources, AFingerprintIsThatOfWhatAttentionIsComputedFrom) {
  const DataFolder folder;
  write_problem(folder);
  const WorkloadSpec base = file_spec(folder);
  const std::string fingerprint = load_workload(base).fingerprint;
  EXPECT_EQ(load_workload(base).fingerprint, fingerprint);
  WorkloadSpec spec = base;
  spec.causal = false;
  EXPECT_NE(load_workload(spec).fingerprint, fingerprint);
  spec = base;
  spec.scale = 0.5;
  EXPECT_NE(load_workload(spec).fingerprint, fingerprint);
  spec = base;
  spec.queries = 3;
  EXPECT_NE(load_workload(spec).fingerprint, fingerprint);
  const auto of_layer = [&](const std::string& layer) {
    write_problem(folder, TensorLayout::kBhld,
                  R"("__metadata__":{"causal":"true","layer":")" + layer + "\"}");
    return load_workload(base).fingerprint;
  };
  EXPECT_NE(of_layer("1"), fingerprint);
  EXPECT_EQ(of_layer("0"), fingerprint);
}

TEST(WorkloadSources, SampledQueriesKeepTheirPositions) {
  const DataFolder folder;
  write_problem(folder);
  const Workload all = load_workload(file_spec(folder));
  const std::vector<std::int64_t> rows = sample_query_rows(5, 6, 3);
  for (WorkloadSpec spec : {file_spec(folder), write_npy_problem(folder)}) {
    spec.queries = 3;
    spec.query_seed = 5;
    const Workload sampled = load_workload(spec);
    EXPECT_EQ(sampled.shape.query_len, 3);
    EXPECT_NO_THROW(sampled.inputs().validate());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i);
      // Query i of 6 stands at position 9 - 6 + i.
      EXPECT_EQ(sampled.query_positions[i], 3 + rows[i]);
      EXPECT_EQ(sampled.inputs().visibility.end(row), all.inputs().visibility.end(rows[i]));
      EXPECT_EQ(query_number(sampled, 1, 3, row), query_number(all, 1, 3, rows[i]));
    }
  }
}

TEST(WorkloadSources, GeneratedSourcesSampleTheSameRows) {
  for (const std::string kind : {"gaussian", "structured"}) {
    WorkloadSpec spec;
    spec.source = source_of("{kind: " + kind + ", seed: 2}");
    spec.query_heads = 4;
    spec.kv_heads = 2;
    spec.query_len = 40;
    spec.key_len = 100;
    spec.head_dim = 16;
    spec.causal = true;
    const Workload all = load_workload(spec);
    EXPECT_TRUE(all.query_positions.empty());
    spec.queries = 7;
    const Workload sampled = load_workload(spec);
    const std::vector<std::int64_t> rows = sample_query_rows(0, 40, 7);
    ASSERT_EQ(sampled.shape.query_len, 7);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(sampled.query_positions[i], 60 + rows[i]);
      EXPECT_EQ(query_number(sampled, 0, 3, static_cast<std::int64_t>(i)),
                query_number(all, 0, 3, rows[i]));
    }
    spec.queries = 40;
    EXPECT_EQ(load_workload(spec).fingerprint, all.fingerprint);
  }
}

// A step sees the keys up to its query's position, where those of the whole sequence lie.
void expect_steps_of(const Workload& trace, const Workload& whole, std::int64_t steps) {
  const AttentionInputs all = whole.inputs();
  EXPECT_EQ(trace.decode_steps, steps);
  EXPECT_TRUE(trace.causal);
  const AttentionInputs prompt = trace.prompt_inputs();
  EXPECT_NO_THROW(prompt.validate());
  EXPECT_EQ(prompt.shape, trace.prompt_shape());
  EXPECT_EQ(prompt.shape.query_len, 1);
  EXPECT_EQ(prompt.shape.key_len, all.shape.key_len - steps);
  for (std::int64_t step = 0; step < steps; ++step) {
    const AttentionInputs inputs = trace.step_inputs(step);
    const std::int64_t key = all.shape.key_len - steps + step;
    EXPECT_NO_THROW(inputs.validate());
    EXPECT_EQ(inputs.shape.query_len, 1);
    EXPECT_EQ(inputs.shape.key_len, key + 1);
    EXPECT_EQ(inputs.visibility.position(0), key);
    EXPECT_EQ(inputs.visibility.end(0), key + 1);
    EXPECT_EQ(inputs.k.data, prompt.k.data);
    EXPECT_EQ(inputs.v.data, prompt.v.data);
    const auto same = [](const TensorView& a, const TensorView& b, std::int64_t row_a,
                         std::int64_t row_b) {
      for (std::int64_t b_h = 0; b_h < a.batch * a.heads; ++b_h) {
        if (std::memcmp(a.row(b_h / a.heads, b_h % a.heads, row_a),
                        b.row(b_h / a.heads, b_h % a.heads, row_b),
                        static_cast<std::size_t>(a.dim) * size_of(a.dtype)) != 0) {
          return false;
        }
      }
      return true;
    };
    EXPECT_TRUE(same(inputs.q, all.q, 0, all.shape.query_len - steps + step)) << step;
    EXPECT_TRUE(same(inputs.k, all.k, key, key)) << step;
    EXPECT_TRUE(same(inputs.v, all.v, key, key)) << step;
  }
}

TEST(WorkloadSources, GeneratedDecodeTracesAreOneSequence) {
  for (const std::string kind : {"gaussian", "structured"}) {
    WorkloadSpec spec;
    spec.source = source_of("{kind: " + kind + ", seed: 2}");
    spec.batch = 2;
    spec.query_heads = 4;
    spec.kv_heads = 2;
    spec.key_len = 60;
    spec.head_dim = 16;
    spec.decode_steps = 7;
    const Workload trace = load_workload(spec);
    spec.decode_steps.reset();
    spec.query_len = 7;
    spec.key_len = 67;
    spec.causal = true;
    const Workload whole = load_workload(spec);
    EXPECT_EQ(trace.fingerprint, whole.fingerprint);
    expect_steps_of(trace, whole, 7);
  }
}

TEST(WorkloadSources, DecodeTracesTakeTheLastQueriesOfAFile) {
  for (const TensorLayout layout : {TensorLayout::kBhld, TensorLayout::kBlhd}) {
    const DataFolder folder;
    write_problem(folder, layout);
    WorkloadSpec spec = file_spec(folder, layout_key(layout));
    const Workload whole = load_workload(spec);
    spec.decode_steps = 4;
    const Workload trace = load_workload(spec);
    EXPECT_EQ(trace.prompt_shape().to_string(), "(2, 4, 2, 1, 5, 8)");
    expect_steps_of(trace, whole, 4);
    spec.key_len = 5;
    spec.query_len = 1;
    EXPECT_EQ(load_workload(spec).fingerprint, trace.fingerprint);
  }
}

TEST(WorkloadSources, DecodeTracesNeedAQueryAndAKeyAStep) {
  const DataFolder folder;
  write_problem(folder);
  WorkloadSpec spec = file_spec(folder);
  spec.positions = {{"decode", {"x.yaml", 5, 3}}, {"key_len", {"x.yaml", 6, 3}}};
  spec.decode_steps = 7;
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:5:3: workload \"w\" has 7 decode steps, but x.safetensors has 6 queries; each "
            "step needs one");
  spec.decode_steps = 2;
  spec.key_len = 9;
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:6:3: workload \"w\" states key_len 9, but x.safetensors has key_len 7 before 2 "
            "decode steps; remove the statement or change the file");
  spec.key_len.reset();
  spec.decode_steps = 6;
  EXPECT_EQ(load_error(folder, spec), "accepted");
  write_tensors(folder, {{"q", {1, 2, 9, 8}}, {"k", {1, 2, 9, 8}}, {"v", {1, 2, 9, 8}}});
  spec.decode_steps = 9;
  EXPECT_EQ(
      load_error(folder, spec),
      "x.yaml:5:3: workload \"w\" has 9 decode steps, but x.safetensors has 9 keys; each step "
      "appends one, and one must be there before");
  spec.decode_steps = 8;
  EXPECT_EQ(load_error(folder, spec), "accepted");
  EXPECT_TRUE(load_workload(spec).causal) << "the file does not say";
}

TEST(WorkloadSources, DecodeTracesOfFilesThatAreNotCausalAreAskedFor) {
  const DataFolder folder;
  write_problem(folder, TensorLayout::kBhld, R"("__metadata__":{"causal":"false"})");
  WorkloadSpec spec = file_spec(folder);
  spec.decode_steps = 2;
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:2:1: workload \"w\" is a decode trace, which is causal, but x.safetensors says "
            "that it is not; write causal: true to attend so all the same");
  spec.causal = true;
  EXPECT_EQ(load_error(folder, spec), "accepted");
}

TEST(WorkloadSources, StructuredNamesItself) {
  WorkloadSpec spec;
  spec.name = "w";
  spec.position = {"x.yaml", 2, 1};
  spec.source = source_of("{kind: structured, seed: 9}");
  spec.query_heads = 1;
  spec.query_len = 2;
  spec.key_len = 2;
  spec.head_dim = 16;
  EXPECT_EQ(load_workload(spec).source, "structured seed 9");
  const DataFolder folder;
  spec.head_dim = 15;
  EXPECT_EQ(
      load_error(folder, spec),
      "x.yaml:2:1: workload \"w\" has head_dim 15; a structured source needs an even one of at "
      "least 16");
  spec.head_dim = 8;
  EXPECT_EQ(
      load_error(folder, spec),
      "x.yaml:2:1: workload \"w\" has head_dim 8; a structured source needs an even one of at "
      "least 16");
  spec.head_dim.reset();
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:2:1: workload \"w\" has no head_dim; a structured source takes its sizes from "
            "the experiment file");
}

TEST(WorkloadSources, GeneratedNumbersAreFinite) {
  WorkloadSpec spec;
  spec.name = "w";
  spec.position = {"x.yaml", 2, 1};
  spec.positions = {{"scale", {"x.yaml", 3, 5}}};
  spec.source = source_of("{kind: structured, seed: 1}");
  spec.query_heads = 2;
  spec.query_len = 32;
  spec.key_len = 32;
  spec.head_dim = 16;
  const DataFolder folder;
  spec.scale = 1e-3F;
  spec.dtype = DType::kFloat16;
  EXPECT_EQ(load_error(folder, spec), "accepted");
  spec.scale = 1e-6F;
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:3:5: workload \"w\": element [0, 0, 0, 4] of q is infinite in float16; queries "
            "grow as 1 / scale, which is 1e-06: state a larger one");
  spec.dtype = DType::kFloat32;
  EXPECT_EQ(load_error(folder, spec), "accepted");
  spec.scale = 1e-45F;
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:3:5: workload \"w\": element [0, 0, 0, 4] of q is infinite in float32; queries "
            "grow as 1 / scale, which is 1e-45: state a larger one");
}

TEST(WorkloadSources, WhatNoMachineHoldsIsRefusedBeforeItIsMade) {
  const ProcessLimits limits = process_limits();
  const std::string memory = limits.memory_is_of_control_group
                                 ? "the control group of this process (its container) allows"
                                 : "this machine has";
  const DataFolder folder;
  for (const std::string kind : {"gaussian", "structured"}) {
    WorkloadSpec spec;
    spec.name = "w";
    spec.position = {"x.yaml", 2, 1};
    spec.source = source_of("{kind: " + kind + "}");
    spec.batch = 65536;
    spec.query_heads = 65536;
    spec.query_len = 2;
    spec.key_len = 4;
    spec.head_dim = 65536;
    spec.dtype = DType::kFloat16;
    // Elements of q and of k are 2^49 and 2^50; 2 bytes each, and 4 of the output.
    EXPECT_EQ(
        load_error(folder, spec),
        fmt::format("x.yaml:2:1: workload \"w\" has {} bytes of q, k, v and output (7881299.3 "
                    "GB); {} a memory of {} ({:.1f} GB){}",
                    6 * (std::uint64_t{1} << 49) + 4 * (std::uint64_t{1} << 50), memory,
                    limits.memory_bytes, static_cast<double>(limits.memory_bytes) / 1e9,
                    limits.memory_is_of_control_group ? ", four fifths of it for these" : ""));
    spec.query_len = 65536;
    spec.key_len = 65536;
    EXPECT_EQ(load_error(folder, spec),
              "x.yaml:2:1: workload \"w\": the shape (65536, 65536, 65536, 65536, 65536, 65536) is "
              "too large: q, k and the mask must each have fewer than 2^60 elements");
  }
}

TEST(WorkloadSources, DataIsThatOfTheFileWhenItWasLoaded) {
  const DataFolder folder;
  write_problem(folder);
  const Workload workload = load_workload(file_spec(folder));
  const float before = query_number(workload, 1, 2, 5);
  const auto size = std::filesystem::file_size(folder.file());
  std::ofstream(folder.file(), std::ios::in | std::ios::binary | std::ios::ate)
      .seekp(0)
      .write(std::string(size, 'x').data(), static_cast<std::streamsize>(size));
  std::filesystem::resize_file(folder.file(), 1);
  EXPECT_EQ(query_number(workload, 1, 2, 5), before);
  EXPECT_EQ(data_fingerprint(workload.inputs(), Threads(1)), workload.fingerprint);
}

TEST(WorkloadSources, QueriesThatAreNotThereCannotBeSampled) {
  const DataFolder folder;
  write_problem(folder);
  WorkloadSpec spec = file_spec(folder);
  spec.positions = {{"queries", {"x.yaml", 4, 7}}};
  spec.queries = 6;
  EXPECT_EQ(load_error(folder, spec), "accepted");
  spec.queries = 7;
  EXPECT_EQ(
      load_error(folder, spec),
      "x.yaml:4:7: workload \"w\" samples 7 queries, above query_len 6; sample fewer, or leave "
      "queries out for all");
}

TEST(WorkloadSources, QueriesBeforeTheFirstKeyCannotBeSampled) {
  WorkloadSpec spec;
  spec.name = "w";
  spec.position = {"x.yaml", 2, 1};
  spec.source = source_of("{kind: gaussian}");
  spec.query_heads = 1;
  spec.query_len = 5;
  spec.key_len = 3;
  spec.head_dim = 8;
  const DataFolder folder;
  EXPECT_EQ(load_error(folder, spec), "accepted");
  spec.queries = 2;
  EXPECT_EQ(load_error(folder, spec),
            "x.yaml:2:1: workload \"w\" samples queries with query_len 5 above key_len 3; sampled "
            "queries need positions among the keys");
}

std::string integer_bytes(const std::vector<std::int64_t>& values) {
  std::string bytes(values.size() * sizeof(std::int64_t), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// q [1, 1, 3, 1], k and v [1, 1, 9, 1] of ones, and an integer tensor.
void write_with_positions(const DataFolder& folder,
                          const std::string& name,
                          const std::vector<std::int64_t>& positions,
                          const std::string& type = "I64",
                          const std::string& metadata = "") {
  const std::string bytes = integer_bytes(positions);
  const std::size_t count = positions.size() * (type == "I32" ? 2 : 1);
  folder.write("{" + metadata +
                   R"("q":{"dtype":"F16","shape":[1,3,1],"data_offsets":[0,6]},)"
                   R"("k":{"dtype":"F16","shape":[1,9,1],"data_offsets":[6,24]},)"
                   R"("v":{"dtype":"F16","shape":[1,9,1],"data_offsets":[24,42]},)"
                   R"(")" +
                   name + R"(":{"dtype":")" + type + R"(","shape":[)" + std::to_string(count) +
                   R"(],"data_offsets":[42,)" + std::to_string(42 + bytes.size()) + "]}}",
               bytes_of(DType::kFloat16, std::vector<float>(21, 1.0F)) + bytes);
}

TEST(WorkloadSources, QueryPositionsAreFoundByTheirName) {
  const DataFolder folder;
  write_with_positions(folder, "query_positions", {0, 4, 8}, "I64",
                       R"("__metadata__":{"causal":"true"},)");
  WorkloadSpec spec = file_spec(folder);
  Workload workload = load_workload(spec);
  EXPECT_EQ(workload.query_positions, (Positions{0, 4, 8}));
  EXPECT_EQ(workload.inputs().visibility.ends(), (Positions{1, 5, 9}));
  spec.queries = 2;
  workload = load_workload(spec);
  for (const std::int64_t position : workload.query_positions) EXPECT_EQ(position % 4, 0);
  EXPECT_EQ(workload.query_positions.size(), 2U);

  write_with_positions(folder, "where", {8, 1, 1});
  EXPECT_TRUE(load_workload(file_spec(folder)).query_positions.empty());
  EXPECT_EQ(load_workload(file_spec(folder, "query_positions: where")).query_positions,
            (Positions{8, 1, 1}));
}

TEST(WorkloadSources, DecodeTracesEndAtTheLastPositions) {
  const DataFolder folder;
  const auto trace_of = [&](const std::vector<std::int64_t>& positions) {
    write_with_positions(folder, "query_positions", positions);
    WorkloadSpec spec = file_spec(folder);
    spec.decode_steps = 2;
    return spec;
  };
  const auto error = [&](const std::vector<std::int64_t>& positions) {
    return load_error(folder, trace_of(positions));
  };
  EXPECT_EQ(load_workload(trace_of({0, 7, 8})).step_inputs(1).visibility.position(0), 8);
  EXPECT_EQ(error({0, 6, 8}),
            "x.yaml:2:1: workload \"w\" has 2 decode steps, which need the last 2 positions; query "
            "1 of x.safetensors stands at 6, not at 7");
  EXPECT_EQ(error({7, 8, 7}),
            "x.yaml:2:1: workload \"w\" has 2 decode steps, which need the last 2 positions; query "
            "2 of x.safetensors stands at 7, not at 8");
}

TEST(WorkloadSources, QueryPositionsMayStandInTheMetadata) {
  const DataFolder folder;
  write_with_positions(folder, "other", {0}, "I64",
                       R"("__metadata__":{"query_positions":"[2, 3,7 ]"},)");
  EXPECT_EQ(load_workload(file_spec(folder)).query_positions, (Positions{2, 3, 7}));
  for (const std::string text : {"", "2, 3, 7", "[]", "[2, 3", "[2, x]", "[2.0]", "[2,]"}) {
    write_with_positions(folder, "other", {0}, "I64",
                         R"("__metadata__":{"query_positions":")" + text + "\"},");
    EXPECT_EQ(load_error(folder, file_spec(folder)),
              "x.safetensors: __metadata__ \"query_positions\" is \"" + text +
                  "\"; it must be a list of whole numbers: [0, 17, 511]");
  }
}

// q [1, 1, 1, 4], k and v [1, 1, 2, 4] of ones, and float32 numbers, of which metadata may tell.
void write_with_frequencies(const DataFolder& folder,
                            const std::vector<float>& frequencies,
                            const std::string& metadata) {
  const std::string end = std::to_string(40 + 4 * frequencies.size());
  folder.write("{\"__metadata__\":{" + metadata +
                   R"(},"q":{"dtype":"F16","shape":[1,1,4],"data_offsets":[0,8]},)"
                   R"("k":{"dtype":"F16","shape":[1,2,4],"data_offsets":[8,24]},)"
                   R"("v":{"dtype":"F16","shape":[1,2,4],"data_offsets":[24,40]},)"
                   R"("rope_frequencies":{"dtype":"F32","shape":[)" +
                   std::to_string(frequencies.size()) + R"(],"data_offsets":[40,)" + end + "]}}",
               bytes_of(DType::kFloat16, std::vector<float>(20, 1.0F)) +
                   bytes_of(DType::kFloat32, frequencies));
}

TEST(WorkloadSources, FilesSayHowPositionsWereApplied) {
  const DataFolder folder;
  write_with_frequencies(folder, {1, 0.5F},
                         R"("rope_style":"interleaved","rope_attention_scale":"1.5")");
  const Workload turned = load_workload(file_spec(folder));
  ASSERT_NE(turned.inputs().rope, nullptr);
  EXPECT_EQ(*turned.inputs().rope,
            (Rope{.pairs = Rope::Pairs::kNeighbours, .frequencies = {1, 0.5F}, .scale = 1.5F}));
  write_with_frequencies(folder, {1, 0.5F}, R"("rope_style":"half")");
  const Workload other = load_workload(file_spec(folder));
  EXPECT_EQ(*other.inputs().rope, (Rope{.frequencies = {1, 0.5F}}));
  // Cells of both are not the same, although the tensors are.
  EXPECT_NE(turned.fingerprint, other.fingerprint);
  write_with_frequencies(folder, {1, 0.5F}, R"("causal":"true")");
  EXPECT_EQ(load_workload(file_spec(folder)).inputs().rope, nullptr);

  write_with_frequencies(folder, {1, 0.5F}, R"("rope_style":"none")");
  EXPECT_EQ(*load_workload(file_spec(folder)).inputs().rope, Rope());
  // A file that says so without the frequencies is not one of which nothing was turned.
  write_with_positions(folder, "other", {0}, "I64", R"("__metadata__":{"rope_style":"half"},)");
  EXPECT_NE(load_error(folder, file_spec(folder)).find("rope_frequencies"), std::string::npos);

  write_with_frequencies(folder, {1}, R"("rope_style":"both")");
  EXPECT_EQ(load_error(folder, file_spec(folder)),
            "x.safetensors: __metadata__ \"rope_style\" is \"both\"; it must be half, interleaved "
            "or none");
  write_with_frequencies(folder, {1, 2, 3}, R"("rope_style":"half")");
  EXPECT_EQ(load_error(folder, file_spec(folder)),
            "x.safetensors: tensor \"rope_frequencies\": it must be a list of floating-point "
            "numbers, one for each pair of components that is turned: at most 2");
}

TEST(WorkloadSources, BadQueryPositionsAreRefused) {
  const DataFolder folder;
  const auto error = [&](const std::vector<std::int64_t>& positions,
                         const std::string& type = "I64") {
    write_with_positions(folder, "query_positions", positions, type);
    return load_error(folder, file_spec(folder));
  };
  EXPECT_EQ(error({0, 4}),
            "x.safetensors: tensor \"query_positions\": its shape is [2]; query_positions must be "
            "[3], one number per query");
  EXPECT_EQ(error({0, 4, 9}),
            "x.safetensors: tensor \"query_positions\": query_positions[2] is 9; with key_len 9 it "
            "must be between 0 and 8");
  EXPECT_EQ(error({0, -4, 8}),
            "x.safetensors: tensor \"query_positions\": query_positions[1] is -4; with key_len 9 "
            "it must be between 0 and 8");
  EXPECT_EQ(error({0, 4, 8}, "F64"),
            "x.safetensors: tensor \"query_positions\": its type is F64; it must be I64 or I32");
  EXPECT_EQ(load_error(folder, file_spec(folder, "query_positions: qp")),
            "x.safetensors: tensor \"qp\": there is no such tensor; the file has: k, q, "
            "query_positions, v");
}

TEST(WorkloadSources, NarrowPositionsAreRead) {
  const DataFolder folder;
  // Two 32-bit numbers in one of 64 bits; the file has 3 queries.
  write_with_positions(folder, "query_positions", {(std::int64_t{4} << 32) + 1}, "I32");
  EXPECT_EQ(load_error(folder, file_spec(folder)),
            "x.safetensors: tensor \"query_positions\": its shape is [2]; query_positions must be "
            "[3], one number per query");
}

TEST(WorkloadSources, NpyErrorsNameTheFile) {
  const DataFolder folder;
  WorkloadSpec spec = write_npy_problem(folder);
  EXPECT_EQ(load_error(folder, spec), "accepted");

  write_file(folder.path() / "p.npy",
             npy_start(npy_header("<i8", "(6,)")) + integer_bytes({0, 1, 2, 3, 4, 9}));
  spec.source = npy_source_of(folder, {"q", "k", "v"}, "query_positions: p.npy");
  EXPECT_EQ(load_error(folder, spec),
            "p.npy: query_positions[5] is 9; with key_len 9 it must be between 0 and 8");
  write_file(folder.path() / "p.npy",
             npy_start(npy_header("<i8", "(6,)")) + integer_bytes({0, 1, 2, 3, 4, 8}));
  EXPECT_EQ(load_workload(spec).query_positions, (Positions{0, 1, 2, 3, 4, 8}));

  spec.source = npy_source_of(folder, {"q", "k", "q"});
  EXPECT_EQ(load_error(folder, spec),
            "q.npy: its shape is [2, 4, 6, 8], that of k.npy is [2, 2, 9, 8]; keys and values must "
            "have the same shape");
  spec.source = npy_source_of(folder, {"q", "k", "v"});
  std::vector<float> values = values_of(GaussianTensor::kKey, 2, 9, TensorLayout::kBhld);
  values[((1 * 2 + 1) * 9 + 7) * 8 + 3] = std::numeric_limits<float>::quiet_NaN();
  write_file(folder.path() / "k.npy",
             npy_start(npy_header("<f4", "(2, 2, 9, 8)")) + bytes_of(DType::kFloat32, values));
  EXPECT_EQ(load_error(folder, spec),
            "k.npy: element [1, 1, 7, 3] is NaN; q, k and v must be finite");
  // In the other layout the same file has 9 heads of 2 keys; the index is the file's.
  spec.source = npy_source_of(folder, {"k", "k", "k"}, "layout: blhd");
  spec.causal = false;
  EXPECT_EQ(load_error(folder, spec),
            "k.npy: element [1, 1, 7, 3] is NaN; q, k and v must be finite");
}

}  // namespace
}  // namespace maskerade
